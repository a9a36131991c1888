/** What a run showed, for a person: the figures of `report.ts` as a table. */
import { tenantsShown } from './limits.ts';
import type { RunReport } from './report.ts';
import type { Spread } from './spread.ts';

const figure = (value: number | null, digits: number): string =>
  value === null ? '–' : value.toFixed(digits);

const share = (value: number | null): string =>
  value === null ? '–' : `${(100 * value).toFixed(1)} %`;

/** At most `tenantsShown` tenants are listed. */
export function reportText(report: RunReport): string {
  const { ttft, tpot, e2e, long, predictor, decision_us: decision } = report;
  const times = (name: string, { mean, p50, p90, p99, max }: Spread, digits: number): string =>
    [name.padEnd(12), ...[mean, p50, p90, p99, max].map((one) => figure(one, digits).padStart(9))]
      .join('')
      .trimEnd();
  const how = [report.policy, ...(report.order === null ? [] : [report.order]), report.fleet];
  const ofAll = (all: number | null, ofLong: number | null): string =>
    `${share(all)} of all, ${share(ofLong)} of prompts over 16k tokens`;
  const lines = [
    `${report.requests} requests, ${how.join(', ')}, ${report.speed} ×, seed ${report.seed}`,
    `${'s'.padEnd(12)}     mean      p50      p90      p99      max`,
    times('TTFT', ttft, 2),
    ...(report.recorded === undefined ? [] : [times('  it was', report.recorded.ttft, 2)]),
    times('TPOT', tpot, 4),
    times('end to end', e2e, 2),
    `TTFT < 5 s   ${ofAll(report.share_under_5s, long.share_under_5s)}`,
    `failed       ${ofAll(report.share_failed, long.share_failed)}`,
    `cached       ${share(report.hit_share)} of prompt tokens`,
    `output       ${figure(report.tokens_per_s, 0)} tokens/s`,
    `predictor    error ${share(predictor.mape)}, within p90 ${share(predictor.p90_coverage)}`,
    `decision     p50 ${figure(decision.p50, 1)} µs, p99 ${figure(decision.p99, 1)} µs`,
  ];
  if (report.tenants.length > 1) {
    lines.push('', 'tenant        requests  TTFT p99 s  service gap');
    for (const one of report.tenants.slice(0, tenantsShown)) {
      const gap = figure(one.service_gap, 0).padStart(13);
      const count = String(one.requests).padStart(9);
      lines.push(`${one.tenant.padEnd(13)}${count}${figure(one.ttft_p99, 2).padStart(12)}${gap}`);
    }
    const more = report.tenants.length - tenantsShown;
    if (more > 0) lines.push(`and ${more} more (--json has all)`);
  }
  return `${lines.join('\n')}\n`;
}
