/** Quotas of keys, through the scheduler that they are part of. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../../lib/random.ts';
import { agentEntry, routedRequest } from '../../testing/router/directoryEntries.ts';
import { unlimitedTiers } from '../../testing/router/unlimitedTiers.ts';
import type { ApiKeyQuota } from '../directory.ts';
import { Scheduler } from '../scheduler/scheduler.ts';
import type {
  Dispatch,
  Reject,
  SchedulerEvent,
  UntimedEvent,
} from '../scheduler/schedulerEvents.ts';

const none = { requestsPerMinute: null, tokensPerMinute: null, tokensPerDay: null };
const dayMs = 86_400_000;

/** A project with an own agent, held to nothing but the quota; an hour before midnight. */
function rig(quota: Partial<ApiKeyQuota>, slots = 100) {
  const config = { tiers: unlimitedTiers() };
  const scheduler = new Scheduler({ random: seededRandom(1), config });
  let nowMs = 0;
  let wallMs = 20_000 * dayMs - 3_600_000;
  const send = (event: UntimedEvent) => {
    const commands = scheduler.handle({ ...event, atMs: nowMs } as SchedulerEvent);
    return {
      dispatch: commands.find((one): one is Dispatch => one.type === 'dispatch'),
      reject: commands.find((one): one is Reject => one.type === 'reject'),
    };
  };
  const agent = agentEntry({ id: 'own', projectId: 'proj_a' });
  send({ type: 'agent', entry: agent });
  send({ type: 'join', agentId: 'own', nonce: 'n' });
  const instances = [{ instance: 'i', modelId: 'model_a', slots, abilities: [] }];
  send({ type: 'grant', agentId: 'own', nonce: 'n', instances });
  const key = { id: 'key_a', quota: { ...none, ...quota } };
  let arrived = 0;
  const arrive = (maxTokens: number | null = 90, who: typeof key | null = key) => {
    arrived += 1;
    // 40 bytes are ten tokens.
    const size = { id: `r${arrived}`, bodyBytes: 40, maxTokens, key: who };
    const request = routedRequest({ ...size, startedAtMs: wallMs + nowMs });
    return send({ type: 'arrive', request });
  };
  const end = (dispatch: Dispatch | undefined, used: number) => {
    const usage = { input: 10, output: used - 10 };
    return send({ type: 'end', claim: dispatch?.claim ?? 0, slotFree: true, usage });
  };
  const pass = (ms: number) => {
    nowMs += ms;
    return send({ type: 'tick' });
  };
  const setClock = (byMs: number) => void (wallMs += byMs);
  const used = (tokens: number) =>
    send({ type: 'key_tokens', ofDayMs: wallMs + nowMs, keys: [{ id: 'key_a', tokens }] });
  return { scheduler, send, arrive, end, pass, setClock, used };
}

function hitOf({ reject }: { reject: Reject | undefined }) {
  const verdict = reject?.verdict;
  assert.ok(verdict?.kind === 'rate_limit_exceeded');
  assert.equal(verdict.tier, null);
  return verdict.hit;
}

test('a key gets more requests a minute than its quota, or its own agents let it', () => {
  const { arrive, pass } = rig({ requestsPerMinute: 2 });
  assert.ok(arrive().dispatch !== undefined);
  assert.deepEqual(arrive().dispatch?.rates.requests, { limit: 2, remaining: 0, resetMs: 60_000 });
  const hit = hitOf(arrive());
  assert.deepEqual(
    [hit.limit, hit.value, hit.used, hit.waitMs],
    ['requests_per_minute', 2, 2, 30_000],
  );
  assert.ok(arrive(90, null).dispatch !== undefined, 'another key is not held to it');
  pass(30_000);
  assert.ok(arrive().dispatch !== undefined);
});

test('a restart gives a key its day anew', () => {
  const { used, arrive, pass } = rig({ tokensPerDay: 100 });
  used(60);
  assert.equal(hitOf(arrive(90)).used, 60);
  assert.ok(arrive(20).dispatch !== undefined);
  assert.equal(hitOf(arrive(20)).used, 90);
  pass(3_600_000);
  assert.ok(arrive(90).dispatch !== undefined, 'midnight');
});

test('tokens that were held and not used never come back', () => {
  const { arrive, end } = rig({ tokensPerMinute: 100 });
  const { dispatch } = arrive(90);
  assert.equal(hitOf(arrive(90)).limit, 'tokens_per_minute');
  end(dispatch, 20);
  assert.equal(arrive(5).dispatch?.rates.tokens?.remaining, 100 - 20 - 15);
});

test('a small quota lets no request pass that does not say how long its answer may be', () => {
  const { arrive, end } = rig({ tokensPerMinute: 100 });
  assert.equal(hitOf(arrive(100)).waitMs, Infinity, 'what is asked for is no guess');
  const { dispatch } = arrive(null);
  assert.ok(dispatch !== undefined);
  assert.equal(hitOf(arrive(null)).waitMs, 60_000, 'a guess takes what there is');
  end(dispatch, 20);
  assert.ok(arrive(null).dispatch !== undefined, 'and learns');
});

test('a day in UTC gives more than its quota, or its tokens are not there after midnight', () => {
  const { arrive, end, pass } = rig({ tokensPerDay: 250 });
  const first = arrive(90);
  const second = arrive(90);
  const hit = hitOf(arrive(90));
  assert.deepEqual([hit.limit, hit.used, hit.waitMs], ['tokens_per_day', 200, 3_600_000]);
  end(first.dispatch, 300);
  assert.equal(hitOf(arrive(1)).used, 400);
  pass(3_600_000);
  const third = arrive(90);
  assert.ok(third.dispatch !== undefined, 'another day');
  end(second.dispatch, 1_000);
  assert.ok(arrive(90).dispatch !== undefined, 'what began yesterday counts for yesterday');
  assert.equal(hitOf(arrive(90)).used, 200);
});

test('a clock that was set does not move midnight', () => {
  const { arrive, setClock, pass } = rig({ tokensPerDay: 250 });
  arrive(90);
  arrive(90);
  // Twenty minutes late until now: midnight is 40 minutes away, not an hour.
  setClock(1_200_000);
  assert.equal(hitOf(arrive(90)).waitMs, 2_400_000);
  pass(2_400_000);
  assert.ok(arrive(90).dispatch !== undefined, 'it is midnight by the new time');
});

test('a clock that was a day ahead for a while gives the day anew', () => {
  const { arrive, setClock, used } = rig({ tokensPerDay: 250 });
  arrive(90);
  arrive(90);
  setClock(dayMs);
  assert.ok(arrive(90).dispatch !== undefined, 'tomorrow has tokens of its own');
  setClock(-dayMs);
  assert.equal(hitOf(arrive(90)).used, 200);
  used(-150);
  assert.equal(hitOf(arrive(200)).used, 50, 'another server’s share, corrected');
});

test('what is refused or leaves the queue has used a part of the quota', () => {
  const { arrive, send, pass } = rig({ requestsPerMinute: 5, tokensPerMinute: 1000 }, 1);
  arrive();
  for (let at = 0; at < 50; at += 1) {
    arrive();
    send({ type: 'hang_up', requestId: `r${at + 2}`, outcome: 'client_closed' });
  }
  for (let at = 0; at < 4; at += 1) assert.equal(arrive().reject, undefined, 'they wait');
  assert.equal(hitOf(arrive()).limit, 'requests_per_minute');
  pass(31_000);
  assert.ok(arrive().reject === undefined && arrive().reject === undefined);
});

test('a changed quota is not seen, or a retry is counted twice', () => {
  const { arrive, send } = rig({ requestsPerMinute: 1 });
  const { dispatch } = arrive();
  const again = send({
    type: 'failed',
    claim: dispatch?.claim ?? 0,
    slotFree: true,
    blameless: true,
  });
  assert.equal(again.dispatch?.attempt, 1);
  assert.equal(hitOf(arrive()).limit, 'requests_per_minute');
  const more = { id: 'key_a', quota: { ...none, requestsPerMinute: 2 } };
  assert.ok(arrive(90, more).dispatch !== undefined);
});

test('L5: a hold leaks in some order of events', () => {
  const step = fc.record({
    what: fc.constantFrom('arrive', 'arrive', 'end', 'fail', 'stop', 'release', 'hang_up', 'pass'),
    pick: fc.nat(20),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
      const { scheduler, send, arrive, pass } = rig(
        { requestsPerMinute: 30, tokensPerMinute: 2000 },
        3,
      );
      let claims = 0;
      let arrived = 0;
      const note = ({ dispatch }: { dispatch: Dispatch | undefined }): void => {
        claims = Math.max(claims, dispatch?.claim ?? 0);
      };
      for (const { what, pick } of steps) {
        const claim = 1 + (pick % Math.max(1, claims));
        if (what === 'arrive') note(arrive((arrived += 1) % 3 === 0 ? null : 90));
        else if (what === 'end') note(send({ type: 'end', claim, slotFree: true }));
        else if (what === 'stop') note(send({ type: 'end', claim, slotFree: false }));
        else if (what === 'fail') note(send({ type: 'failed', claim, slotFree: true }));
        else if (what === 'release') note(send({ type: 'release', claim }));
        else if (what === 'pass') note(pass(pick * 500));
        else send({ type: 'hang_up', requestId: `r${1 + pick}`, outcome: 'client_closed' });
      }
      pass(31_000);
      for (let claim = 1; claim <= 200; claim += 1) {
        send({ type: 'end', claim, slotFree: true });
        send({ type: 'release', claim });
      }
      const { keyHolds, reserved, claims: left } = scheduler.audit();
      assert.deepEqual({ keyHolds, reserved, left }, { keyHolds: 0, reserved: 0, left: 0 });
      pass(10 * 60_000);
      assert.equal(arrive(90).dispatch?.rates.requests?.remaining, 29, 'all of it came back');
    }),
    { numRuns: 300 },
  );
});
