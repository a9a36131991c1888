/** What a request with two agents holds of the limits of its project. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { limitRig } from '../../testing/router/limitRig.ts';
import type { Dispatch } from '../scheduler/schedulerEvents.ts';

/** Two shared agents, and enough requests behind them that one may have both. */
function hedging(limits: Parameters<typeof limitRig>[0], second: string | null = null) {
  const rig = limitRig(limits);
  const { agent, arrive, end, pass, send } = rig;
  agent({ id: 'one', projectId: second }, 4);
  for (let n = 0; n < 50; n += 1) {
    end(arrive().dispatches[0]);
    pass(60_000);
  }
  agent({ id: 'two' }, 4);
  const begin = (): Dispatch => {
    const [dispatch] = arrive().dispatches;
    assert.ok(dispatch);
    return dispatch;
  };
  const hedge = ({ claim }: Dispatch): Dispatch | undefined =>
    send({ type: 'hedge', claim }).dispatches[0];
  return { ...rig, begin, hedge };
}

test('a request has no second agent because its project runs as many as it may', () => {
  const { begin, hedge } = hedging({ concurrentPerProject: 2 });
  const first = begin();
  begin();
  const second = hedge(first);
  assert.ok(second);
  assert.notEqual(second.agentId, first.agentId);
});

test('a second agent keeps another request of its project out', () => {
  for (const limits of [{ concurrentPerProject: 2 }, { tokensPerMinute: 140 }]) {
    const { begin, hedge, arrive } = hedging(limits);
    const first = begin();
    const second = hedge(first);
    assert.ok(second);
    assert.deepEqual(second.rates, first.rates);
    begin();
    const [refused] = arrive().rejects;
    assert.ok(refused?.verdict.kind.endsWith('_exceeded'), 'a third request is one too many');
  }
});

for (const goes of ['the first', 'the second'] as const) {
  test(`what two agents held for one request is lost, or given back twice: ${goes} goes`, () => {
    const limits = { tokensPerMinute: 1000, requestsPerMinute: 60 };
    const { begin, hedge, end, send, scheduler } = hedging(limits);
    const plain = hedging(limits);
    plain.end(plain.begin(), { input: 10, output: 20 });
    const first = begin();
    const second = hedge(first);
    assert.ok(second);
    assert.equal(scheduler.audit().reserved, 1);
    const [lost, won] = goes === 'the first' ? [first, second] : [second, first];
    send({ type: 'drop', claim: lost.claim, slotFree: false });
    assert.equal(scheduler.audit().reserved, 1, 'for the one that goes on');
    send({ type: 'first_byte', claim: won.claim });
    send({ type: 'release', claim: lost.claim });
    assert.equal(scheduler.audit().reserved, 1, 'for the one that goes on');
    end(won, { input: 10, output: 20 });
    assert.equal(scheduler.audit().reserved, 0);
    assert.deepEqual(begin().rates, plain.begin().rates, 'as with one agent');
  });
}

test('a second agent is shared where the first is its own, beyond what shared ones may do', () => {
  const { begin, hedge, send, agent } = hedging({ concurrentPerProject: 1 }, 'proj_a');
  const first = begin();
  assert.equal(first.agentId, 'one');
  const second = hedge(first);
  assert.equal(second?.agentId, 'two', 'there it is the only one that runs');
  send({ type: 'drop', claim: second.claim, slotFree: true });
  send({ type: 'grant', agentId: 'one', nonce: 'n', instances: [] });
  assert.equal(begin().agentId, 'two');
  agent({ id: 'three' }, 4);
  assert.equal(hedge(first), undefined);
});
