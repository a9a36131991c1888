import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StorageReport } from '../../protocol/messages/agentControl.ts';
import type { AgentPresence } from '../../router/links/agentPresence.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import { storageAnswerMs } from '../limits.ts';
import { storageApplied, storageWarnings } from './storageApplied.ts';

/** An agent that has followed a limit of 1, and is asked for one of 5. */
function asked() {
  const clock = new FakeClock();
  const listeners = new Set<(agentId: string) => void>();
  let present: AgentPresence | undefined;
  /** What is known of it now; undefined: its link is gone. */
  const know = (storage: StorageReport | null | undefined): void => {
    present = storage === undefined ? undefined : ({ storage } as AgentPresence);
    for (const listener of listeners) listener('agent-1');
  };
  const router = {
    agent: () => present,
    onAgentChange: (listener: (agentId: string) => void) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
  know(report(1));
  const hangUp = new AbortController();
  const start = () =>
    storageApplied({
      router,
      clock,
      agentId: 'agent-1',
      limitBytes: 5,
      signal: hangUp.signal,
    });
  return { clock, know, start, listeners, hangUp };
}

function report(limitBytes: number): StorageReport {
  const said = { usedBytes: 3, evictedBytes: 0, overBytes: 0, inUse: [] };
  return { configuredLimitBytes: limitBytes, limitBytes, ...said };
}

test('an answer waits for an agent that is silent, has gone or keeps nothing', async () => {
  const silent = asked();
  const late = silent.start();
  silent.know(report(2));
  await silent.clock.advanceAsync(storageAnswerMs);
  assert.equal(await late, 'late');

  const away = asked();
  const notLinked = away.start();
  away.know(undefined);
  assert.equal(await notLinked, 'not_linked');
  assert.equal(await away.start(), 'not_linked');

  const without = asked();
  without.know(null);
  assert.equal(await without.start(), 'no_cache');

  for (const { listeners, clock } of [silent, away, without]) {
    assert.deepEqual([listeners.size, clock.pendingTimers], [0, 0]);
  }
});

test('an answer comes before the agent’s word, or goes on for nobody', async () => {
  const heard = asked();
  const applied = heard.start();
  heard.know(report(5));
  assert.equal(await applied, 'applied');
  const left = asked();
  const waiting = left.start();
  left.hangUp.abort();
  assert.equal(await waiting, 'late');
  for (const { listeners, clock } of [heard, left]) {
    assert.deepEqual([listeners.size, clock.pendingTimers], [0, 0]);
  }
});

test('a limit that does not hold yet looks as if it did', () => {
  assert.deepEqual(storageWarnings('no_cache', null), []);
  assert.match(storageWarnings('not_linked', null).join(), /when the agent links again/);
  assert.match(storageWarnings('late', null).join(), /has not said yet/);
});
