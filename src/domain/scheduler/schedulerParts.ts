/** What a scheduler is put together from. */
import { AgentIndex } from '../agents/agentIndex.ts';
import { Regions } from '../agents/regions.ts';
import { FailureBook } from '../failures/failureBook.ts';
import { PenaltyBox } from '../failures/penaltyBox.ts';
import { Placement } from '../placing/placement.ts';
import { LimitBook } from '../quotas/limitBook.ts';
import { QueueOutlook } from '../waiting/queueOutlook.ts';
import { Turns } from '../waiting/turns.ts';
import { WaitingQueue } from '../waiting/waitingQueue.ts';
import type { Chooser } from './choice.ts';
import { Findings } from './findings.ts';
import { FleetChanges } from './fleetChanges.ts';
import { InstancePools } from './instancePools.ts';
import type { SchedulerOptions } from './schedulerConfig.ts';
import type { KnownAgent } from './schedulerState.ts';
import type { Fleet } from './verdict.ts';

export interface SchedulerParts {
  placement: Placement;
  pools: InstancePools;
  limits: LimitBook;
  fleet: Fleet;
  failures: FailureBook;
  chooser: Chooser;
  queue: WaitingQueue;
  turns: Turns;
  changes: FleetChanges;
}

export function schedulerParts({ config, random }: SchedulerOptions): SchedulerParts {
  const { tiers } = config;
  const regions = new Regions(config.region ?? '');
  const placement = new Placement(tiers);
  const pools = new InstancePools(placement);
  const limits = new LimitBook(config);
  const agents = new AgentIndex();
  const findings = new Findings({ agents, pools });
  const outlook = new QueueOutlook({ placement, pools, tiers });
  const fleet = { agents, pools, penalties: new PenaltyBox<KnownAgent>(), outlook, findings };
  const failures = new FailureBook(fleet, limits);
  const chooser = { random, regions, limits, placement, failures, findings };
  const queue = new WaitingQueue(fleet, { ...config, limits, placement });
  const turns = new Turns({ queue, limits, placement, failures });
  const changes = new FleetChanges({ ...fleet, queue, regions });
  return { placement, pools, limits, fleet, failures, chooser, queue, turns, changes };
}
