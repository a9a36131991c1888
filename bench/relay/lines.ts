/** The report of the bench `relay` as a person reads it. */
import type { Figure } from '../machine/statistics.ts';
import type { RelayReport } from './summary.ts';

const show = (value: number | null, unit = ''): string =>
  value === null ? 'not measured' : `${value}${unit === '' ? '' : ` ${unit}`}`;

export function relayLines(report: RelayReport): string[] {
  const { machine, streams, timed, alone, resident_mib: resident } = report;
  const cost = report.cpu_us_per_chunk;
  const lockstep = report.cpu_us_per_chunk_lockstep;
  const request = report.cpu_us_per_request;
  const us = (figure: Figure): string => show(figure.median, 'µs');
  return [
    `${machine.cores} cores (${machine.cpu}), Node ${machine.node}, ` +
      `nginx ${machine.nginx ?? '–'}, ` +
      `${machine.pinned ? 'pinned' : 'not pinned'}, load before ${machine.load_before}`,
    `CPU per chunk, ${streams.count} streams, ${streams.tick_ms} ms, random phases: ` +
      `nginx ${us(cost.nginx)}, router ${us(cost.router)}, agent ${us(cost.agent)}`,
    `  ratio ${show(report.ratio)}  (rounds ${report.ratio_rounds.join(' ')})`,
    `CPU per chunk, lockstep: nginx ${us(lockstep.nginx)}, router ${us(lockstep.router)}, ` +
      `agent ${us(lockstep.agent)}`,
    `  ratio ${show(report.ratio_lockstep)}  (rounds ${report.ratio_lockstep_rounds.join(' ')})`,
    `CPU per request: nginx ${us(request.nginx)}, router ${us(request.router)}, ` +
      `agent ${us(request.agent)}; bare ${us(request.bare)} and ${us(request.bare_agent)}`,
    `At ${timed.streams} streams, added: TTFT p50 ${row(timed.added_ttft_ms.p50)}, ` +
      `p99 ${row(timed.added_ttft_ms.p99)}; chunk delay p50 ` +
      `${row(timed.added_chunk_delay_ms.p50)}, p99 ${row(timed.added_chunk_delay_ms.p99)}; ` +
      `core ${show(timed.core_busy_percent.xim.median, '%')}`,
    `One at a time, added: p50 ${row(alone.added_ms.p50)}, p99 ${row(alone.added_ms.p99)}`,
    `1 MiB prompt, added: p50 ${row(report.prompt_1mib.added_ms.p50)}, ` +
      `p99 ${row(report.prompt_1mib.added_ms.p99)}`,
    `Memory of the router: idle ${resident.idle.router} MiB${manyText(resident.many_streams)}`,
    `Delivered ÷ offered: direct ${show(streams.delivered_share.direct.median)}, ` +
      `nginx ${show(streams.delivered_share.nginx.median)}, ` +
      `XIM ${show(streams.delivered_share.xim.median)}; failures ${report.failures}, ` +
      `out of order ${report.disorder}`,
    ...report.problems.map(
      ({ problem, message, count }) =>
        `  ${count} × ${problem}${message === '' ? '' : `: ${message}`}`,
    ),
    ...report.targets.map(
      ({ figure, value, must, aim, met }) =>
        `  ${met === 'no' ? 'MISSED' : met.padEnd(6)} ${figure}: ${show(value)} ` +
        `(must ${must}, aim ${aim})`,
    ),
  ];
}

function row({ xim, nginx, bare }: { nginx: Figure; bare: Figure; xim: Figure }): string {
  const others = `nginx ${show(nginx.median)}, bare ${show(bare.median)}`;
  return `${show(xim.median)} ms (${others})`;
}

function manyText(many: RelayReport['resident_mib']['many_streams']): string {
  if (many === null) return '';
  const { streams, router, delivered_share: share } = many;
  return `, with ${streams} streams ${router} MiB (delivered ${share})`;
}
