/** The simulator's own answer for the same requests. */
import { systemClock } from '../../src/lib/clock.ts';
import { seededRandom } from '../../src/lib/random.ts';
import type { Machine } from '../../src/sim/fleetSpec.ts';
import { maxSequences } from '../../src/sim/limits.ts';
import { orders } from '../../src/sim/orders/orders.ts';
import { policies } from '../../src/sim/policies/policies.ts';
import type { PolicyName } from '../../src/sim/policies/policyNames.ts';
import { PolicyRouter } from '../../src/sim/policyRouter.ts';
import { SchedulerRouter } from '../../src/sim/schedulerRouter.ts';
import { Simulation } from '../../src/sim/simulation.ts';
import type { TraceRequest } from '../../src/sim/traces/traceRequest.ts';
import type { Answered } from './client.ts';

export function simulateTraced(of: {
  requests: readonly TraceRequest[];
  machines: readonly Machine[];
  policy: PolicyName;
  seed: number;
}): Answered[] {
  const { requests, machines, policy, seed } = of;
  const random = seededRandom(seed);
  const queueTimeoutMs = Infinity;
  const router =
    policy === 'xim'
      ? new SchedulerRouter({ random, queueTimeoutMs, inFlightCap: maxSequences })
      : new PolicyRouter({
          policy: policies[policy]({ random }),
          order: orders.fcfs(),
          inFlightCap: Infinity,
        });
  const run = { requests, machines, faults: [], router, queueTimeoutMs };
  const simulation = new Simulation({ ...run, clock: systemClock, progress: () => {} });
  return simulation.run().requests.map(({ offered, firstByteAtMs, endAtMs }) => ({
    ttftMs: firstByteAtMs === null ? null : firstByteAtMs - offered.atMs,
    e2eMs: endAtMs === null ? null : endAtMs - offered.atMs,
  }));
}
