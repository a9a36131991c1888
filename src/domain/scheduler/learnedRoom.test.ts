/** What was learned of an engine that does not say how much it holds, and how it is forgotten. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { seededRandom } from '../../lib/random.ts';
import { agentEntry, routedRequest } from '../../testing/router/directoryEntries.ts';
import { unlimitedTiers } from '../../testing/router/unlimitedTiers.ts';
import { Scheduler } from './scheduler.ts';
import type { Dispatch, SchedulerEvent, UntimedEvent } from './schedulerEvents.ts';

const slots = 6;

/** One agent, and always somebody who waits for it. */
function rig() {
  const config = { tiers: unlimitedTiers() };
  const scheduler = new Scheduler({ random: seededRandom(1), config });
  let [nowMs, requests] = [1000, 0];
  const send = (event: UntimedEvent): Dispatch[] =>
    scheduler
      .handle({ ...event, atMs: nowMs } as SchedulerEvent)
      .filter((command) => command.type === 'dispatch');
  const entry = agentEntry({ id: 'one' });
  send({ type: 'agent', entry });
  send({ type: 'join', agentId: 'one', nonce: 'n1' });
  const instances = [{ instance: 'i1', modelId: 'model_a', slots, abilities: [] }];
  send({ type: 'grant', agentId: 'one', nonce: 'n1', instances });
  const arrive = (): Dispatch[] => {
    requests += 1;
    return send({ type: 'arrive', request: routedRequest({ id: `r${requests}`, bodyBytes: 400 }) });
  };
  const running = Array.from({ length: slots }, arrive).flat();
  for (let n = 0; n < 3; n += 1) arrive();
  /** The first tokens of all that were dispatched come after so long, and then one answer ends. */
  const turn = (ttftMs: number): number => {
    nowMs += ttftMs;
    const waitsForToken = running.filter((one) => one.work.phase === 'prefill');
    for (const { claim } of waitsForToken) running.push(...send({ type: 'first_byte', claim }));
    const most = running.length;
    nowMs += 500;
    const [first] = running.splice(0, 1);
    assert.ok(first);
    running.push(...send({ type: 'end', claim: first.claim, slotFree: true, health: 'good' }));
    running.push(...arrive());
    return most;
  };
  return { turn };
}

test('an engine of few slots that hung once for a moment is never given all of them again', () => {
  const { turn } = rig();
  for (let n = 0; n < 100; n += 1) turn(50);
  assert.equal(turn(50), slots);
  turn(1500);
  assert.ok(turn(50) < slots, 'it might have been full');
  let turns = 0;
  while (turn(50) < slots && turns < 1000) turns += 1;
  assert.ok(turns > 20 && turns < 500, `${turns} turns`);
});
