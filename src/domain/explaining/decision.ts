/**
 * What a choice was made from, for its receipt: references to what the choice had made anyway. It
 * is turned into words and numbers only when the request is over.
 *
 * Invariants
 * T1 Nothing is looked up here that the choice had not looked up, but who was closed: of those at
 *    most `maxSurveyed`.
 */
import type { ExclusionReason } from '../agents/matching.ts';
import { maxDecisionCandidates, maxNearestMisses, maxSurveyed } from '../limits.ts';
import { valueIn, type Scored } from '../placing/score.ts';
import type { Work } from '../placing/instanceLoad.ts';
import { hasSlot, type EngineInstance, type InstancePool } from '../scheduler/schedulerState.ts';

/** Why an instance that has the model was no candidate in that moment, or an agent at all. */
export type OutReason = ExclusionReason | 'backlog' | 'no_room' | 'kept_for_short' | 'not_asked';

/** One that could have been taken, with what its score was made of. */
export interface DecisionCandidate {
  scored: Scored<EngineInstance>;
  /** Of the time to the first token, in ms; null: nothing is known of such machines. */
  parts: { aheadMs: number; ownMs: number } | null;
}

export interface Decision {
  /** `scored`: the cheapest of the open ones. `turn`: it opened, and it was this one's turn. */
  how: 'scored' | 'turn';
  /** The one that was taken first, then the cheapest others. Of a turn: none. */
  candidates: readonly DecisionCandidate[];
  /** All that could have been taken. */
  counted: number;
  out: Survey;
}

/** Instances that have the model and were no candidates: counts, and some of them by reference. */
export class Survey {
  readonly counts: Partial<Record<OutReason, number>> = {};
  readonly nearest: { instance: EngineInstance; reason: OutReason }[] = [];

  out(instance: EngineInstance, reason: OutReason, more = 1): void {
    this.counts[reason] = (this.counts[reason] ?? 0) + more;
    if (this.nearest.length < maxNearestMisses) this.nearest.push({ instance, reason });
  }

  /** Those that are closed: without a slot, or with too long a backlog. */
  closed(pools: readonly InstancePool[], taken: EngineInstance): void {
    for (const { instances, open } of pools) {
      let left = instances.size - open.size;
      if (left > 0 && instances.has(taken) && !open.has(taken)) left -= 1;
      let looked = 0;
      for (const instance of instances) {
        looked += 1;
        if (left <= 0 || looked > maxSurveyed) break;
        if (instance === taken || open.has(instance)) continue;
        const more = looked === maxSurveyed ? left : 1;
        this.out(instance, hasSlot(instance) ? 'backlog' : 'busy', more);
        left -= more;
      }
    }
  }
}

export function scoredDecision(
  scored: readonly Scored<EngineInstance>[],
  taken: Scored<EngineInstance>,
  out: Survey,
): Decision {
  const kept = scored.length <= maxDecisionCandidates ? scored : cheapest(scored, taken);
  const candidates = kept.map((one) => ({
    scored: one,
    parts: one.item.load.model.parts(one.load),
  }));
  const at = candidates.findIndex((one) => one.scored === taken);
  if (at > 0) candidates.unshift(...candidates.splice(at, 1));
  return { how: 'scored', candidates, counted: scored.length, out };
}

/** An instance opened, and it was this request's turn: nobody was compared. */
export function turnDecision(instance: EngineInstance, work: Work): Decision {
  const out = new Survey();
  out.closed(instance.pools, instance);
  const { load, prediction, own } = work;
  const ttftMs = prediction?.ttftMs ?? null;
  const scored: Scored<EngineInstance> = {
    item: instance,
    cost: ttftMs,
    product: load.ahead + own + 1,
    samples: instance.load.model.samples,
    ttftMs,
    decodeMs: 0,
    priceMs: 0,
    load,
    inFlight: instance.inFlight - 1,
  };
  const parts = instance.load.model.parts(load);
  return { how: 'turn', candidates: [{ scored, parts }], counted: 1, out };
}

/** The one that was taken and the cheapest others, by what they were compared by. */
function cheapest(
  scored: readonly Scored<EngineInstance>[],
  taken: Scored<EngineInstance>,
): Scored<EngineInstance>[] {
  const kept: Scored<EngineInstance>[] = [];
  const valueOf = valueIn(scored);
  for (const one of scored) {
    if (one === taken) continue;
    const isFull = kept.length === maxDecisionCandidates - 1;
    const last = kept.at(-1);
    if (isFull && last !== undefined && valueOf(one) >= valueOf(last)) continue;
    if (isFull) kept.pop();
    const after = kept.findIndex((other) => valueOf(other) > valueOf(one));
    kept.splice(after === -1 ? kept.length : after, 0, one);
  }
  return [taken, ...kept];
}
