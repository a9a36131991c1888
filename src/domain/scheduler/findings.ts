/** What was found for requests that are alike, each for as long as it holds. */
import { AlikeMap } from './alikeMap.ts';
import type { InstancePools } from './instancePools.ts';
import type { Explanation } from './schedulerEvents.ts';
import type { Carrier } from './verdict.ts';

export class Findings {
  /** While one event lasts: who would serve them, and why nobody does (V1). */
  readonly carriers: AlikeMap<Carrier>;
  readonly explanations: AlikeMap<Explanation>;

  constructor(pools: InstancePools) {
    const event = (): number => pools.events;
    this.carriers = new AlikeMap(event);
    this.explanations = new AlikeMap(event);
  }
}
