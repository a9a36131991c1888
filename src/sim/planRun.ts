/** What a run is made of, from its flags: specs and trace read, the router put together. */
import { seededRandom, type Random } from '../lib/random.ts';
import { parseFaults, type Fault } from './faultSpec.ts';
import { parseFleet, type Machine } from './fleetSpec.ts';
import { maxSequences } from './limits.ts';
import { orders } from './orders/orders.ts';
import { policies } from './policies/policies.ts';
import { policyNames, type PublishedName } from './policies/policyNames.ts';
import { PolicyRouter } from './policyRouter.ts';
import type { RunName } from './report.ts';
import type { SimulatedRouter } from './routerPort.ts';
import { SchedulerRouter } from './schedulerRouter.ts';
import type { SimulateOptions } from './simulateTable.ts';
import { readTrace } from './traces/readTrace.ts';
import { drawTenants, parseTenants } from './traces/tenants.ts';
import type { TraceRequest } from './traces/traceRequest.ts';

export interface RunPlan {
  name: RunName;
  requests: readonly TraceRequest[];
  machines: readonly Machine[];
  faults: readonly Fault[];
  router: SimulatedRouter;
  queueTimeoutMs: number;
  /** What was done to the trace, for a person. */
  notes: readonly string[];
}

export type PlanOutcome =
  | { kind: 'plan'; plan: RunPlan }
  /** A flag cannot be as it is. */
  | { kind: 'bad_options'; problems: string[] }
  /** The trace cannot be read. */
  | { kind: 'bad_trace'; problem: string };

/** Sources of chance, apart from each other: another policy does not change what arrives. */
type Chance = Record<'spread' | 'tenants' | 'policy', Random>;

function chanceOf(seed: number): Chance {
  const [spread, tenants, policy] = [1, 2, 3].map((part) =>
    seededRandom(Math.imul(seed, 0x9e3779b1) + part * 0x85ebca6b),
  ) as [Random, Random, Random];
  return { spread, tenants, policy };
}

/** Reads the specs and the trace. All problems of the flags come together. */
export function planRun(options: SimulateOptions): PlanOutcome {
  const { trace, policy, fleet: fleetSpec, faults: faultSpec, tenants: tenantSpec } = options;
  const problems: string[] = [];
  if (trace === undefined) problems.push('--trace is missing; give a trace file or folder');
  if (policy === undefined) {
    problems.push(`--policy is missing; give one of ${policyNames.join(', ')}`);
  }
  const fleet = parseFleet(fleetSpec);
  if (fleet.kind === 'bad_fleet') problems.push(`--fleet: ${fleet.problem}`);
  const machines = fleet.kind === 'fleet' ? fleet.machines : [];
  const faults =
    faultSpec === undefined || machines.length === 0
      ? ({ kind: 'faults', faults: [] } as const)
      : parseFaults(faultSpec, { machines: machines.length });
  if (faults.kind === 'bad_faults') problems.push(`--faults: ${faults.problem}`);
  const tenants = tenantSpec === undefined ? null : parseTenants(tenantSpec);
  if (tenants?.kind === 'bad_tenants') problems.push(`--tenants: ${tenants.problem}`);
  if (policy === 'xim' && (options.order ?? 'xim') !== 'xim') {
    problems.push('--order: the policy xim has its own, xim; leave it out');
  }
  if (tenants !== null && options.speed !== 1) {
    problems.push('--speed: the rates of --tenants are as they are; leave it at 1');
  }
  const bad = trace === undefined || policy === undefined || faults.kind === 'bad_faults';
  if (bad || tenants?.kind === 'bad_tenants' || problems.length > 0) {
    return { kind: 'bad_options', problems };
  }
  const chance = chanceOf(options.seed);
  const { from: fromS, requests } = options;
  const read = readTrace(trace, { random: chance.spread, fromS, requests });
  if (read.kind === 'bad_trace') return read;
  const { speed, seed, queueTimeout } = options;
  const queueTimeoutMs = queueTimeout === undefined ? Infinity : queueTimeout * 1_000;
  const how = { options, queueTimeoutMs, random: chance.policy };
  const { router, order } = policy === 'xim' ? schedulerOf(how) : routerOf(policy, how);
  return {
    kind: 'plan',
    plan: {
      name: { policy, order, trace, fleet: fleetSpec, speed, seed },
      requests:
        tenants === null
          ? read.requests.map((request) => ({ ...request, atMs: request.atMs / speed }))
          : drawTenants(tenants.groups, { lengths: read.requests, random: chance.tenants }),
      machines,
      faults: faults.faults,
      router,
      queueTimeoutMs,
      notes: read.notes,
    },
  };
}

interface RouterOptions {
  options: SimulateOptions;
  random: Random;
  queueTimeoutMs: number;
}

/** The product's own scheduler, with its own order. */
function schedulerOf({ options, random, queueTimeoutMs }: RouterOptions): {
  router: SimulatedRouter;
  order: string;
} {
  const inFlightCap = options.inflightCap ?? maxSequences;
  return { router: new SchedulerRouter({ random, queueTimeoutMs, inFlightCap }), order: 'xim' };
}

/** A published rule binds on arrival, unless an order or a cap is asked for. */
function routerOf(
  policy: PublishedName,
  how: Pick<RouterOptions, 'options' | 'random'>,
): { router: SimulatedRouter; order: string | null } {
  const { order, inflightCap } = how.options;
  const waits = order !== undefined || inflightCap !== undefined;
  const name = order ?? 'fcfs';
  const router = new PolicyRouter({
    policy: policies[policy]({ random: how.random }),
    order: orders[name](),
    inFlightCap: inflightCap ?? (waits ? maxSequences : Infinity),
  });
  return { router, order: waits ? name : null };
}
