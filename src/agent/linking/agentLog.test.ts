import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../lib/log.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import { linkLimits } from '../../protocol/limits.ts';
import { logLinesPerMessage, maxKeptLogLines } from '../limits.ts';
import { logSchema } from '../../protocol/messages/agentControl.ts';
import { AgentLog } from './agentLog.ts';
import { TrailerStore } from './trailers.ts';

const newLog = (): AgentLog => new AgentLog({ logger: silentLogger, clock: new FakeClock() });

test('a secret or a control character leaves over the link', () => {
  const log = newLog();
  log.engineLine('info', 'key xjk_0123abc_Zm9vYmFyYmF6\u001b[2J');
  log.logger.info({ token: 'xrt_1_Zm9vYmFyYmF6' }, 'refreshed');
  const texts = log.take()?.lines.map(({ text }) => text);
  assert.deepEqual(texts, ['key [secret]\\u001b[2J', 'refreshed token=[secret]']);
});

test('a log that nobody takes grows for ever, or hides that it lost lines', () => {
  const log = newLog();
  for (let n = 0; n < maxKeptLogLines + 7; n += 1) log.logger.info({ n }, 'line');
  const first = log.take();
  assert.equal(first?.dropped, 7);
  assert.equal(first?.lines.length, logLinesPerMessage);
  assert.equal(first?.lines[0]?.text, 'line n=7');
  assert.equal(log.take()?.dropped, 0);
});

test('a line breaks the bounds of its message', () => {
  const log = newLog();
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  log.logger.child({ part: 'x'.repeat(10_000) }).warn({ requestId: 'r'.repeat(100) }, 'long');
  log.logger.error({ err: new Error('boom'), none: undefined, big: 3n, circular }, 'odd');
  log.engineLine('info', 'y'.repeat(10_000));
  const message = log.take();
  assert.deepEqual(logSchema.parse(message), message);
  assert.equal(message?.lines.length, 3);
  assert.equal(message?.lines[2]?.source, 'engine');
});

test('an engine that writes without end slows the agent or fills its memory', () => {
  const log = newLog();
  const line = 'z'.repeat(1024 * 1024);
  const startedAtMs = performance.now();
  for (let n = 0; n < 100; n += 1) log.engineLine('info', line);
  for (let n = 0; n < 1_000_000; n += 1) log.engineLine('info', 'one of a million');
  const tookMs = performance.now() - startedAtMs;
  assert.ok(tookMs < 2_000, `${tookMs} ms`);
  const message = log.take();
  assert.equal(message?.dropped, 1_000_100 - maxKeptLogLines);
});

test('an engine that writes long lines cuts the link of its agent', () => {
  const log = newLog();
  for (let n = 0; n < maxKeptLogLines; n += 1)
    log.engineLine('info', `\ud800漢\u0000${n}`.repeat(999));
  const most = linkLimits.maxControlBytes / 8;
  let taken = 0;
  for (let message = log.take(); message !== undefined; message = log.take()) {
    assert.ok(Buffer.byteLength(JSON.stringify(message)) < most);
    taken += message.lines.length;
  }
  assert.ok(taken > 0);
});

test('debugging lines go to the owner’s page', () => {
  const log = newLog();
  log.logger.debug({}, 'detail');
  assert.equal(log.take(), undefined);
});

test('trailers grow for ever, or leave in another order', () => {
  const store = new TrailerStore();
  const end = (n: number): Parameters<TrailerStore['keep']>[0] => {
    return { requestId: `req_${n}`, timings: { totalMs: 1 }, outcome: 'completed' };
  };
  for (let n = 0; n < 1_100; n += 1) store.keep(end(n));
  assert.equal(store.size, 1_000);
  store.acknowledge(['req_100', 'req_unknown']);
  const portions = [...store.portions()];
  assert.ok(portions.every((portion) => portion.length <= 32));
  const ids = portions.flat().map(({ requestId }) => requestId);
  assert.deepEqual([ids.length, ids[0], ids.at(-1)], [999, 'req_101', 'req_1099']);
});
