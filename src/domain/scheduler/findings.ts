/** What was found for requests that are alike, each for as long as it holds. */
import type { AgentIndex } from '../agents/agentIndex.ts';
import { AlikeMap } from './alikeMap.ts';
import type { InstancePools } from './instancePools.ts';
import type { Explanation } from './schedulerEvents.ts';
import type { EngineInstance, InstancePool, KnownAgent } from './schedulerState.ts';
import type { Carrier } from './verdict.ts';

/** All instances of a pool that may serve a request, open or not; null: they are many. */
type AbleOnes = readonly EngineInstance[] | null;

export class Findings {
  /** While one event lasts: who would serve them, and why nobody does (V1). */
  readonly carriers: AlikeMap<Carrier>;
  readonly explanations: AlikeMap<Explanation>;
  /**
   * While nobody comes, goes or changes, for what agents and engines are: whether an instance is
   * ready for them, what all that are ready lack, and some of the agents that may serve them.
   */
  readonly ready: AlikeMap<boolean>;
  readonly lacking: AlikeMap<string[]>;
  readonly eligible: AlikeMap<readonly KnownAgent[]>;
  private readonly fleetVersion: () => number;
  private readonly able = new WeakMap<InstancePool, AlikeMap<AbleOnes>>();

  constructor({ agents, pools }: { agents: AgentIndex; pools: InstancePools }) {
    const event = (): number => pools.events;
    this.carriers = new AlikeMap(event);
    this.explanations = new AlikeMap(event);
    this.fleetVersion = () => agents.version + pools.version;
    this.ready = new AlikeMap(this.fleetVersion);
    this.lacking = new AlikeMap(this.fleetVersion);
    this.eligible = new AlikeMap(this.fleetVersion);
  }

  /** The same of one pool. */
  ableIn(pool: InstancePool): AlikeMap<AbleOnes> {
    const known = this.able.get(pool);
    if (known !== undefined) return known;
    const able = new AlikeMap<AbleOnes>(this.fleetVersion);
    this.able.set(pool, able);
    return able;
  }
}
