import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../lib/random.ts';
import type { LogMessage } from '../../protocol/messages/agentControl.ts';
import { agentEntry, projectEntry } from '../../testing/router/directoryEntries.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import type { Directory } from '../directory.ts';
import { agentLogLines, maxAllLogsBytes, maxLogLines } from '../limits.ts';
import { LogBook, type LogName, type LogPlace } from './logBook.ts';

const own = agentEntry({ id: 'agent_own', projectId: 'proj_a' });
const shared = agentEntry({ id: 'agent_shared', projectId: null });
const other = agentEntry({ id: 'agent_other', projectId: null });

function bench(): { book: LogBook; clock: FakeClock } {
  const clock = new FakeClock();
  const agents = new Map([own, shared, other].map((agent) => [agent.id, agent]));
  const loud = (id: string) => (id.startsWith('loud') ? agentEntry({ id }) : undefined);
  const directory = {
    agent: (id: string) => agents.get(id) ?? loud(id),
    project: (id: string) => (id === 'proj_a' ? projectEntry({ id }) : undefined),
  } as unknown as Directory;
  return { book: new LogBook({ directory, clock, random: seededRandom(1) }), clock };
}

function said(texts: readonly string[], over: Partial<LogMessage['lines'][number]> = {}) {
  const lines = texts.map((text) => {
    return { atMs: 1, level: 'info' as const, source: 'engine' as const, text, ...over };
  });
  return { type: 'log' as const, lines, dropped: 0 };
}

/** Texts, and gaps as numbers. */
function shown(book: LogBook, name: LogName, after: LogPlace | null = null, limit = 100) {
  return book
    .read(name, { after, limit })
    .entries.map((entry) => (entry.kind === 'line' ? entry.text : entry.lines));
}

test('a line of a request on a shared agent is seen by another project, or by the operator', () => {
  const { book } = bench();
  book.serve({ requestId: 'req_a', agentId: shared.id, projectId: 'proj_a' });
  book.serve({ requestId: 'req_b', agentId: shared.id, projectId: 'proj_b' });
  book.take(shared.id, said(['of a'], { requestId: 'req_a' }));
  book.take(shared.id, said(['of b'], { requestId: 'req_b' }));
  book.take(shared.id, said(['of nobody known'], { requestId: 'req_x' }));
  book.take(shared.id, said(['its own']));
  assert.deepEqual(shown(book, 'project:proj_a'), ['of a']);
  assert.deepEqual(shown(book, 'project:proj_b'), ['of b']);
  assert.deepEqual(shown(book, `agent:${shared.id}`), ['its own']);
});

test('an agent writes into the log of a project whose request another agent had', () => {
  const { book } = bench();
  book.serve({ requestId: 'req_a', agentId: shared.id, projectId: 'proj_a' });
  book.take(other.id, said(['forged'], { requestId: 'req_a' }));
  assert.deepEqual(shown(book, 'project:proj_a'), []);
  assert.deepEqual(shown(book, `agent:${other.id}`), []);
});

test('a line of an own agent loses its request, or a forged name reaches a page', () => {
  const { book } = bench();
  book.take(own.id, said(['one'], { requestId: 'req_a' }));
  book.take(own.id, said(['two'], { requestId: '<script>' }));
  const { entries } = book.read(`agent:${own.id}`, { after: null, limit: 10 });
  const ids = entries.map((entry) => (entry.kind === 'line' ? entry.requestId : undefined));
  assert.deepEqual(ids, ['req_a', null]);
  assert.deepEqual(shown(book, 'project:proj_a'), []);
});

test('a line is shown as the agent made it: secrets, escape sequences, times beyond dates', () => {
  const { book, clock } = bench();
  const text = 'key xjk_0123abc_Zm9vYmFyYmF6 \u001b[2J\u202e';
  book.take(own.id, said([text], { atMs: 1e300 }));
  book.take(own.id, said([text], { atMs: Number.NaN }));
  const { entries } = book.read(`agent:${own.id}`, { after: null, limit: 10 });
  for (const entry of entries) {
    assert.ok(entry.kind === 'line');
    assert.equal(entry.text, 'key [secret] \\u001b[2J\\u202e');
    assert.equal(entry.atMs, clock.now());
    assert.doesNotThrow(() => new Date(entry.atMs).toISOString());
  }
});

test('lines come out of order, twice or not at all to somebody who reads on', () => {
  const { book } = bench();
  const name: LogName = `agent:${own.id}`;
  book.take(own.id, said(['1', '2', '3']));
  const first = book.read(name, { after: null, limit: 2 });
  assert.deepEqual([first.more, shown(book, name, null, 2)], [false, ['2', '3']]);
  book.take(own.id, said(['4', '5', '6']));
  const second = book.read(name, { after: first.place, limit: 2 });
  assert.deepEqual([second.more, shown(book, name, first.place, 2)], [true, ['4', '5']]);
  const third = book.read(name, { after: second.place, limit: 2 });
  assert.deepEqual([third.more, shown(book, name, second.place, 2)], [false, ['6']]);
  assert.deepEqual(shown(book, name, third.place), []);
  assert.deepEqual(shown(book, name, { ...third.place, seq: 1e9 }), []);
});

test('lost lines leave no mark, or one without their number', () => {
  const { book, clock } = bench();
  const name: LogName = `agent:${own.id}`;
  book.take(own.id, { ...said(['after the agent’s loss']), dropped: 7 });
  assert.deepEqual(shown(book, name), [7, 'after the agent’s loss']);
  const { place } = book.read(name, { after: null, limit: 1 });
  for (let n = 0; n < 3 * maxLogLines; n += 200) {
    book.take(own.id, said(Array.from({ length: 200 }, (_none, at) => `line ${n + at}`)));
    clock.advance(1000);
  }
  const page = book.read(name, { after: place, limit: 3 });
  assert.deepEqual(
    page.entries.map((entry) => (entry.kind === 'line' ? entry.text : entry.lines)),
    [2 * maxLogLines, `line ${2 * maxLogLines}`, 'line 20001', 'line 20002'],
  );
  assert.equal(book.read(name, { after: null, limit: 1e6 }).entries.length, maxLogLines);
});

test('a reader from before a restart is shown lines twice, or told that it missed none', () => {
  const { book } = bench();
  book.take(own.id, said(['1', '2']));
  const place = { epoch: 'log_of_yesterday', seq: 1 };
  assert.deepEqual(shown(book, `agent:${own.id}`, place), [null, '1', '2']);
});

test('an agent that writes without end takes the server’s time, or hides what it lost', () => {
  const { book, clock } = bench();
  const flood = said(Array.from({ length: 200 }, () => 'some words '.repeat(363)));
  const startedAtMs = performance.now();
  for (let sent = 0; sent < 1_000_000; sent += 200) book.take(own.id, flood);
  const tookMs = performance.now() - startedAtMs;
  assert.ok(tookMs < 1_500, `${tookMs} ms for a million lines`);
  clock.advance(10_000);
  book.take(own.id, said(['at last']));
  const page = book.read(`agent:${own.id}`, { after: null, limit: maxLogLines });
  const kept = page.entries.filter(({ kind }) => kind === 'line').length - 1;
  assert.ok(kept <= agentLogLines.burst && kept > 100, String(kept));
  const [gap, last] = page.entries.slice(-2);
  assert.ok(gap?.kind === 'gap' && gap.lines === 1_000_000 - kept);
  assert.ok(last?.kind === 'line' && last.text === 'at last');
});

test('many agents that log fill the memory, or a loud one pushes out a quiet one', () => {
  const { book, clock } = bench();
  book.take(own.id, said(['quiet']));
  const lines = said(Array.from({ length: 200 }, () => 'some words '.repeat(90)));
  for (let round = 0; round < 8; round += 1) {
    for (let n = 0; n < 60; n += 1) book.take(`loud${n}`, lines);
    clock.advance(10_000);
    assert.ok(book.bytes <= maxAllLogsBytes);
  }
  assert.ok(book.bytes > maxAllLogsBytes / 2);
  assert.deepEqual(shown(book, `agent:${own.id}`), ['quiet']);
});

test('a dead agent keeps its log for ever, or gets a new one', () => {
  const { book } = bench();
  book.take(own.id, said(['one']));
  const entry = { ...own, state: 'dead' as const };
  book.onDirectory({ kind: 'agent', id: own.id, entry });
  assert.deepEqual(shown(book, `agent:${own.id}`), []);
  assert.equal(book.bytes, 0);
  book.take('agent_gone', said(['two']));
  assert.equal(book.bytes, 0);
});

test('who follows is not told of new lines, or still after it has left', () => {
  const { book } = bench();
  let told = 0;
  const leave = book.onLines(`agent:${own.id}`, () => (told += 1));
  book.take(own.id, said(['1', '2']));
  assert.equal(told, 1);
  leave();
  book.take(own.id, said(['3']));
  assert.equal(told, 1);
});
