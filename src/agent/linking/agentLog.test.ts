import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../lib/log.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import { logLinesPerMessage, maxKeptLogLines } from '../limits.ts';
import { logSchema } from '../../protocol/messages/agentControl.ts';
import { AgentLog, redacted } from './agentLog.ts';
import { TrailerStore } from './trailers.ts';

const newLog = (): AgentLog => new AgentLog({ logger: silentLogger, clock: new FakeClock() });

test('a secret leaves over the link', () => {
  const secrets = [
    'xjk_0123abc_Zm9vYmFyYmF6',
    'xim_my-project_0123456789abcdefghij',
    'eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhZ2VudCJ9.c2lnbmF0dXJlc2ln',
    'Authorization: Bearer sk-something-secret',
    '-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n-----END PRIVATE KEY-----',
  ];
  for (const secret of secrets) {
    const text = redacted(`before ${secret} after`);
    assert.match(text, /^before .*\[secret\] after$/);
    assert.doesNotMatch(text, /Zm9v|0123456789abcdef|eyJ|sk-|MC4C/);
  }
});

test('a control character reaches the owner’s terminal', () => {
  assert.equal(redacted('a\u001b[2Jb\nc'), 'a\\u001b[2Jb\\u000ac');
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
