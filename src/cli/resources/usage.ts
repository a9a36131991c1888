/** `xim usage`: what requests come to. */
import type { UsageAnswer, UsageGroupAnswer } from '../../api/control/usage.ts';
import { print } from '../connection/withServer.ts';
import { costText, countText, textTable } from '../textTable.ts';
import { fieldOptions, membersOf } from './bodyFields.ts';
import { csvSwitch, printCsv } from './printCsv.ts';
import { resourceCommand } from './resourceCommand.ts';
import { usageFields } from './usageFields.ts';

/** Names as people type them; `key` is what the wire calls `api_key`. */
const dimensions = ['hour', 'day', 'endpoint', 'model', 'key', 'agent', 'tier'] as const;

const by = {
  type: 'list',
  flag: 'by',
  default: ['day'],
  placeholder: 'NAME,…',
  help: `By what to sum: ${dimensions.join(', ')}; several are divided by commas.`,
  check: (names: readonly string[]) =>
    names.every((name) => (dimensions as readonly string[]).includes(name))
      ? undefined
      : `give some of ${dimensions.join(', ')}`,
} as const;

export const usage = resourceCommand(
  {
    words: ['usage'],
    summary: 'Sum up requests, tokens and cost, by day or by what you say',
    details: 'Of the last 30 days, unless you say otherwise; days and hours are those of UTC.',
    scope: 'project',
    path: '/usage',
  },
  { by, csv: csvSwitch, ...fieldOptions(usageFields, { changes: false }) },
  async ({ session, context, options, scope }) => {
    const nowMs = context.clock.now();
    const filters = await membersOf(usageFields, options, { session, scope, nowMs });
    const names = options['by'] as readonly string[];
    const group_by = names.map(wireName).join(',');
    const query = { ...(filters as Record<string, string>), group_by };
    const path = `${scope}/usage`;
    if (options['csv'] === true) {
      return printCsv({ session, context, path: `${path}/summary.csv`, query });
    }
    const answer = await session.call<UsageAnswer>({ method: 'GET', path, query });
    print({ context, options: options as never }, answer, () => usageTable(answer));
    if (answer.truncated) {
      context.terminal.note('There are more groups than these: ask for less at a time.\n');
    }
    return undefined;
  },
);

const wireName = (name: string): string => (name === 'key' ? 'api_key' : name);

function usageTable({ from, to, group_by: groups, data, total }: UsageAnswer): string {
  const span = `${from.slice(0, 16)}Z to ${to.slice(0, 16)}Z\n\n`;
  if (total.requests + total.agent_seconds === 0) return `${span}No requests.\n`;
  const withTime = total.agent_seconds > 0;
  const cells = (sums: UsageAnswer['total']): string[] => sumsOf(sums, withTime);
  const heads = groups.map((name) => name.replace('api_', '').toUpperCase());
  const blank = groups.map((_, at) => (at === 0 ? 'total' : ''));
  return (
    span +
    textTable(
      [...heads, 'REQUESTS', 'WELL', 'INPUT', 'CACHED', 'OUTPUT', ...timeHead(withTime), 'COST'],
      [
        ...data.map((group) => [...groups.map((name) => nameIn(group, name)), ...cells(group)]),
        [...(groups.length === 0 ? [] : blank), ...cells(total)],
      ],
    )
  );
}

/** A thing that is gone has no name any more, but its id. */
function nameIn(group: UsageGroupAnswer, name: string): string | null {
  const members: Readonly<Record<string, string | number | null | undefined>> = group;
  const found = members[name] ?? members[`${name}_id`] ?? null;
  return found === null ? null : String(found);
}

/** Only for those who have agents of their own. */
const timeHead = (withTime: boolean): string[] => (withTime ? ['AGENT HOURS'] : []);

function sumsOf(sums: UsageAnswer['total'], withTime: boolean): string[] {
  const share = sums.requests === 0 ? 0 : (100 * sums.succeeded) / sums.requests;
  return [
    countText(sums.requests),
    `${share.toFixed(1)} %`,
    countText(sums.input_tokens),
    countText(sums.cached_tokens),
    countText(sums.output_tokens),
    ...(withTime ? [(sums.agent_seconds / 3600).toFixed(1)] : []),
    costText(sums.cost),
  ];
}
