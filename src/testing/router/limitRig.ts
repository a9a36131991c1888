/** A scheduler whose tiers have small limits, and a hand on the time: each event is audited. */
import assert from 'node:assert/strict';
import { seededRandom } from '../../lib/random.ts';
import type { AgentEntry } from '../../domain/directory.ts';
import type { LimitLease } from '../../domain/quotas/limitAccount.ts';
import type { RoutedRequest } from '../../domain/agents/matching.ts';
import type { Usage } from '../../domain/scheduler/schedulerState.ts';
import { Scheduler } from '../../domain/scheduler/scheduler.ts';
import type {
  Dispatch,
  Reject,
  SchedulerEvent,
  UntimedEvent,
} from '../../domain/scheduler/schedulerEvents.ts';
import { tierTable, type TierOverride } from '../../domain/tiers/tiers.ts';
import { agentEntry, routedRequest } from './directoryEntries.ts';

/** `limits`: of the CPU tier. */
export function limitRig(
  limits: TierOverride = {},
  options: { ownConcurrent?: number; lease?: LimitLease } = {},
) {
  const { ownConcurrent = 96, lease } = options;
  const tiers = tierTable({
    cpu_amd_optimized: { requestsPerMinute: null, tokensPerMinute: null, ...limits },
    self_hosted: { concurrentPerProject: ownConcurrent },
  });
  const config = { tiers, ...(lease === undefined ? {} : { lease }) };
  const scheduler = new Scheduler({ random: seededRandom(1), config });
  let nowMs = 1000;
  const send = (event: UntimedEvent) => {
    const commands = scheduler.handle({ ...event, atMs: nowMs } as SchedulerEvent);
    const { reservations, reserved, claimable } = scheduler.audit();
    assert.equal(reserved, reservations, 'L1');
    assert.deepEqual(claimable, [], 'W1');
    return {
      dispatches: commands.filter((one): one is Dispatch => one.type === 'dispatch'),
      rejects: commands.filter((one): one is Reject => one.type === 'reject'),
      wakes: commands.flatMap((one) => (one.type === 'set_timer' ? [one.atMs - nowMs] : [])),
    };
  };
  const agent = (entry: Partial<AgentEntry>, slots: number) => {
    const whole = agentEntry(entry);
    const instances = [{ instance: 'i1', modelId: 'model_a', slots, abilities: [] }];
    send({ type: 'agent', entry: whole });
    send({ type: 'join', agentId: whole.id, nonce: 'n' });
    return send({ type: 'grant', agentId: whole.id, nonce: 'n', instances });
  };
  let arrived = 0;
  const arrive = (over: Partial<RoutedRequest> = {}) => {
    arrived += 1;
    // 40 bytes are ten tokens, at first.
    const request = routedRequest({ id: `r${arrived}`, bodyBytes: 40, maxTokens: 90, ...over });
    return send({ type: 'arrive', request });
  };
  const end = (dispatch: Dispatch | undefined, usage?: Usage) =>
    send({ type: 'end', claim: dispatch?.claim ?? 0, slotFree: true, usage });
  const pass = (ms: number) => {
    nowMs += ms;
    return send({ type: 'tick' });
  };
  const now = (): number => nowMs;
  return { scheduler, send, agent, arrive, end, pass, now };
}
