/** What every use-case stands on; `control.ts` makes it once and hands it down. */
import type { TierTable } from '../domain/tiers/tiers.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import type { Random } from '../lib/random.ts';
import type { Store } from '../store/store.ts';

export interface ControlConfig {
  /** A disconnected agent dies after this long, in ms; null: never. At least one hour. */
  disconnectedDiesAfterMs: number | null;
  /** Region of join keys that name none. */
  defaultRegion: string;
  /** With the operator's own figures. */
  tiers: TierTable;
  /** Whether people who are no operators may make projects. */
  usersCreateProjects: boolean;
  /** Whether shared agents that run without a sandbox may serve more than one project. */
  allowUnsandboxed: boolean;
}

export interface ControlParts {
  store: Store;
  clock: Clock;
  random: Random;
  log: Logger;
  config: ControlConfig;
}
