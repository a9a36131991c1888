/** Usage: what is asked of it, how it is shown, and files that break off. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { UsageAnswer } from '../../api/control/usage.ts';
import { systemClock } from '../../lib/clock.ts';
import {
  cliNow as now,
  openCliHarness,
  refusal,
  type CannedAnswer,
  type CliHarness,
} from '../../testing/processes/cliHarness.ts';
import { assertGolden } from '../../testing/golden.ts';
import { serverCommands } from '../commands.ts';
import { costText, countText } from '../textTable.ts';

const here = '/api/v1/projects/default';
let cli: CliHarness;

before(async () => {
  cli = await openCliHarness(serverCommands, { ...systemClock, now: () => Date.parse(now) });
});
after(() => cli.close());

const sums = {
  requests: 1200,
  succeeded: 1188,
  input_tokens: 1_234_567,
  cached_tokens: 12_000,
  output_tokens: 98_765,
  cost: '1.234500',
  agent_seconds: 0,
  agent_cost: '0.000000',
};
const usage: UsageAnswer = {
  from: '2026-01-30T12:00:00.000Z',
  to: now,
  group_by: ['day', 'model'],
  total: sums,
  data: [
    { day: '2026-02-28', model: 'Qwen3-8B', model_id: 'mdl_1', ...sums, cost: '1.234000' },
    {
      ...sums,
      day: '2026-03-01',
      model: null,
      model_id: 'mdl_2',
      requests: 1,
      succeeded: 0,
      cost: '0.000500',
    },
  ],
  truncated: true,
  budget: null,
};
const total = { ...usage, group_by: [], data: [], truncated: false };
const timed = {
  ...total,
  total: { ...sums, requests: 0, succeeded: 0, agent_seconds: 5_400, agent_cost: '0.041096' },
};
const nothing = { ...total, total: { ...sums, requests: 0 } };

test('usage of other requests than those that were asked for', async () => {
  const id = 'key_00000000000000000000000001';
  let answer: UsageAnswer = usage;
  cli.answer = () => ({ body: answer });
  const first = await cli.transcript([
    'usage --by day,model',
    `usage --by hour,key --from 2026-02-01 --to 24h --key ${id} --agent shared --tier free`,
    'usage --by week',
  ]);
  answer = total;
  const second = await cli.transcript(['usage --by tier --endpoint chat', 'usage -o json']);
  answer = timed;
  const third = await cli.transcript(['usage --by agent']);
  answer = nothing;
  const last = await cli.transcript(['usage']);
  assertGolden('cli/usage.txt', [first, second, third, last].join('\n'));
});

test('CSV with anything else in it, or that looks whole when it broke off', async () => {
  const csv: CannedAnswer = { text: 'day,requests\r\n2026-03-01,5\r\n' };
  cli.answers({ [`GET ${here}/usage/summary.csv`]: csv, [`GET ${here}/usage/records.csv`]: csv });
  const sum = await cli.run('usage --csv --by day,tier --from 2026-03-01');
  assert.deepEqual([sum.code, sum.out, sum.notes], [0, csv.text, '']);
  const asked = new URL(cli.seen[0]?.url ?? '', 'http://h').searchParams;
  assert.equal(asked.get('group_by'), 'day,tier');
  assert.equal(asked.get('from'), '2026-03-01T00:00:00.000Z');
  const records = await cli.run('requests list --csv --outcome queue_timeout');
  assert.equal(records.out, csv.text);
  assert.equal(cli.seen[0]?.url, `${here}/usage/records.csv?outcome=queue_timeout`);
  cli.answers({ [`GET ${here}/usage/summary.csv`]: { ...csv, breaksOff: true } });
  const broken = await cli.run('usage --csv');
  assert.equal(broken.code, 1);
  assert.match(broken.notes, /what came is not all of it/);
  const no = refusal(400, 'invalid_value', "'from' must be before 'to'.");
  cli.answers({ [`GET ${here}/usage/summary.csv`]: no });
  const refused = await cli.run('usage --csv --from 1h --to 2h');
  assert.equal(refused.code, 7);
  assert.match(refused.notes, /must be before 'to'\. Help: xim usage --help\n$/);
});

test('figures that are read wrong', () => {
  assert.equal(countText(0), '0');
  assert.equal(countText(999), '999');
  assert.equal(countText(1_234_567), '1 234 567');
  assert.equal(costText('0.000000'), '0.00');
  assert.equal(costText('1.234500'), '1.2345');
  assert.equal(costText('12.500000'), '12.50');
});
