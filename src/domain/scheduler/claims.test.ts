/** Claims whose slots are told to be free, or whose instances change, at a moment of their own. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { seededRandom } from '../../lib/random.ts';
import { agentEntry, modelEntry, routedRequest } from '../../testing/router/directoryEntries.ts';
import { unlimitedTiers } from '../../testing/router/unlimitedTiers.ts';
import { Scheduler } from './scheduler.ts';
import type { Dispatch, SchedulerEvent, UntimedEvent } from './schedulerEvents.ts';

/** A scheduler, and agents of one instance each. */
function rig() {
  const scheduler = new Scheduler({ random: seededRandom(1), config: { tiers: unlimitedTiers() } });
  const send = (event: UntimedEvent): Dispatch[] => {
    const commands = scheduler.handle({ ...event, atMs: 1000 } as SchedulerEvent);
    assert.deepEqual(scheduler.audit().claimable, [], 'W1');
    return commands.filter((command) => command.type === 'dispatch');
  };
  const grant = (agentId: string, slots: number, modelId = 'model_a'): Dispatch[] => {
    const instances = [{ instance: 'i1', modelId, slots, abilities: ['chat'] }];
    return send({ type: 'grant', agentId, nonce: 'n1', instances });
  };
  const link = (id: string, slots: number): void => {
    send({ type: 'agent', entry: agentEntry({ id }) });
    send({ type: 'join', agentId: id, nonce: 'n1' });
    grant(id, slots);
  };
  const arrive = (id: string): Dispatch | undefined =>
    send({ type: 'arrive', request: routedRequest({ id }) })[0];
  return { scheduler, send, grant, link, arrive };
}

function there<Thing>(thing: Thing | undefined): Thing {
  assert.ok(thing !== undefined);
  return thing;
}

for (const type of ['failed', 'end'] as const) {
  test(`R1: a slot is taken for ever whose link went in the turn of its "${type}"`, () => {
    const { scheduler, send, link, arrive } = rig();
    link('one', 1);
    const { claim } = there(arrive('r1'));
    link('two', 1);
    const other = there(arrive('r2'));
    assert.equal(arrive('r3'), undefined);
    // The order to stop was what its link did not survive.
    assert.deepEqual(send({ type: 'release', claim }), []);
    assert.equal(scheduler.audit().inFlight, 2, 'its request depends on it still');
    const next = send({ type, claim, slotFree: false });
    assert.equal(next[0]?.requestId, 'r3');
    send({ type: 'release', claim });
    const running = [...next, other];
    for (const one of running) {
      running.push(...send({ type: 'end', claim: one.claim, slotFree: true }));
    }
    const { claims, inFlight, reserved } = scheduler.audit();
    assert.deepEqual({ claims, inFlight, reserved }, { claims: 0, inFlight: 0, reserved: 0 });
  });
}

test('R1: a slot is taken for ever of the slower one of two, whose link went with it', () => {
  const { scheduler, send, link, arrive } = rig();
  link('one', 4);
  for (let n = 0; n < 50; n += 1) {
    send({ type: 'end', claim: there(arrive(`saved${n}`)).claim, slotFree: true });
  }
  link('two', 4);
  const first = there(arrive('r1'));
  const second = there(send({ type: 'hedge', claim: first.claim })[0]);
  send({ type: 'release', claim: first.claim });
  send({ type: 'drop', claim: first.claim, slotFree: false });
  send({ type: 'end', claim: second.claim, slotFree: true });
  const { claims, inFlight } = scheduler.audit();
  assert.deepEqual({ claims, inFlight }, { claims: 0, inFlight: 0 });
});

test('R5: an instance with another model has slots that the last one still holds', () => {
  const { scheduler, send, grant, link, arrive } = rig();
  link('one', 1);
  const first = there(arrive('r1'));
  grant('one', 1, 'model_b');
  const where = { agentId: 'one', nonce: 'n1', instance: 'i1' };
  assert.equal(scheduler.inFlight(where), 1);
  assert.deepEqual(scheduler.agentLoad('one'), { inFlight: 1, slots: 1 });
  const other = { id: 'r2', model: modelEntry({ id: 'model_b' }) };
  assert.deepEqual(send({ type: 'arrive', request: routedRequest(other) }), []);
  const [second] = send({ type: 'end', claim: first.claim, slotFree: true });
  assert.equal(second?.requestId, 'r2');
  // Back again, with what runs of the other one.
  grant('one', 2);
  assert.deepEqual(scheduler.agentLoad('one'), { inFlight: 1, slots: 2 });
  const third = there(arrive('r3'));
  for (const { claim } of [third, there(second)]) send({ type: 'end', claim, slotFree: true });
  assert.equal(scheduler.inFlight(where), 0);
  assert.equal(scheduler.audit().claims, 0);
});
