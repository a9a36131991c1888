/** Logs: in order, with their gaps, and taken up where a stream broke. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { LogEntryAnswer } from '../../api/control/logs.ts';
import { systemClock } from '../../lib/clock.ts';
import { encodeCursor } from '../../lib/page.ts';
import {
  cliNow as now,
  openCliHarness,
  refusal,
  type CannedAnswer,
  type CliHarness,
} from '../../testing/processes/cliHarness.ts';
import { assertGolden } from '../../testing/golden.ts';
import { serverCommands } from '../commands.ts';

const agentId = '0a8d4f63-6f43-4b1a-9f4f-3f2f7b0f6a11';
const at = `/api/v1/projects/default/agents/${agentId}/logs`;
let cli: CliHarness;

beforeEach(async () => {
  // What is waited for between two streams is not waited for here.
  const setTimer: typeof systemClock.setTimer = (delayMs, fire, options) =>
    systemClock.setTimer(delayMs < 5000 ? 0 : delayMs, fire, options);
  cli = await openCliHarness(serverCommands, { ...systemClock, setTimer });
});
afterEach(() => cli.close());

const line = (text: string, more: object = {}): LogEntryAnswer => ({
  kind: 'line',
  at: now,
  received_at: now,
  level: 'info',
  source: 'agent',
  text,
  request_id: null,
  ...more,
});
const gap = (lines: number | null): LogEntryAnswer => ({ kind: 'gap', received_at: now, lines });
const entries = [
  line('connected'),
  line('loaded tiny', { source: 'engine', level: 'warn', request_id: 'req_1' }),
  gap(12),
  gap(1),
  gap(null),
  line('\u001b[31mred'),
];

const event = (entry: LogEntryAnswer, id: string): string =>
  `id: ${id}\nevent: ${entry.kind}\ndata: ${JSON.stringify(entry)}\n\n`;
const stream = (text: string): CannedAnswer => ({
  text: `: following\n\n${text}`,
  headers: { 'content-type': 'text/event-stream' },
});

test('a log without its gaps, or with what only the terminal may say', async () => {
  const log = { data: entries, has_more: false, next_cursor: encodeCursor(['e', 6]) };
  const empty = { ...log, data: [] };
  cli.answers({
    [`GET ${at}`]: { body: log },
    'GET /api/v1/projects/default/logs': { body: empty },
    [`GET /api/v1/platform/agents/${agentId}/logs`]: { body: empty },
  });
  const lines = [
    `agents logs ${agentId}`,
    'agents logs --lines 5',
    `agents logs ${agentId} --platform`,
  ];
  assertGolden('cli/agents-logs.txt', await cli.transcript(lines));
  const json = await cli.run(`agents logs ${agentId} -o json`);
  assert.deepEqual(JSON.parse(json.out), log);
});

test('lines that are lost or come twice where a stream broke', async () => {
  const cursors = [1, 2, 3].map((seq) => encodeCursor(['e', seq]));
  const [first = '', second = '', third = ''] = cursors;
  const answers = [
    stream(event(line('one'), first) + event(line('two'), second)),
    { cut: true } as const,
    stream(event(line('three'), third)),
    refusal(404, 'not_found', 'There is no such agent.'),
  ];
  cli.answer = () => answers.shift();
  const { code, out, notes } = await cli.run(`agents logs ${agentId} -f --lines 2`);
  assert.equal(code, 7);
  assert.deepEqual(out.match(/one|two|three/g), ['one', 'two', 'three']);
  assert.match(notes, /The connection broke; taking it up again\.\n/);
  assert.match(notes, /There is no such agent\. See those there are: xim agents list\n$/);
  assert.deepEqual(
    cli.seen.map(({ url }) => new URL(url, 'http://h').searchParams.get('after')),
    [null, second, second, third],
  );
});

test('a log that is followed for ever on a server that is not there', async () => {
  cli.answer = () => ({ cut: true });
  const { code } = await cli.run(`agents logs ${agentId} --follow`);
  assert.equal(code, 8);
  assert.equal(cli.seen.length, 1);
});

test('a program that follows a log and gets lines for people', async () => {
  const answers = [
    stream(event(line('one'), encodeCursor(['e', 1]))),
    refusal(404, 'not_found', 'Gone.'),
  ];
  cli.answer = () => answers.shift();
  const { out } = await cli.run(`agents logs ${agentId} -f -o json`);
  assert.deepEqual(JSON.parse(out), line('one'));
});
