/**
 * The whole of it on a drawn trace: conversations that grow, long and short prompts, a fleet that
 * is well used. Rules that see more come out better, in the order of published traces.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../lib/clock.ts';
import { seededRandom } from '../lib/random.ts';
import { drawnTrace } from '../testing/routingProof/drawnTrace.ts';
import { orders } from './orders/orders.ts';
import { policies } from './policies/policies.ts';
import type { PublishedName } from './policies/policyNames.ts';
import { PolicyRouter } from './policyRouter.ts';
import { reportOf, type RunReport } from './report.ts';
import { Simulation } from './simulation.ts';
import { readMooncake } from './traces/mooncake.ts';
import type { TraceRequest } from './traces/traceRequest.ts';

/** Turns of conversations; each goes on with all blocks of the turn before it. */
function conversations(count: number, perS: number): TraceRequest[] {
  const text = drawnTrace({ requests: count, perS, seed: 11 });
  const outcome = readMooncake(text, { file: 'drawn', random: seededRandom(1) });
  return outcome.kind === 'read' ? outcome.requests : [];
}

test('a rule that sees more and does worse', () => {
  const requests = conversations(900, 1.3);
  const reportFor = (policy: PublishedName): RunReport => {
    const router = new PolicyRouter({
      policy: policies[policy]({ random: seededRandom(3) }),
      order: orders.fcfs(),
      inFlightCap: Infinity,
    });
    const result = new Simulation({
      requests,
      machines: Array.from({ length: 4 }, () => ({ hardware: 'A100' as const, slowness: 1 })),
      faults: [],
      router,
      queueTimeoutMs: Infinity,
      clock: systemClock,
      progress: () => {},
    }).run();
    const name = { policy, order: null, trace: '', fleet: '4xA100', speed: 1, seed: 3 };
    return reportOf(name, result);
  };
  const [turn, two, requestsOnly, predicted, product] = (
    ['round-robin', 'power-of-two', 'least-requests', 'mooncake-ttft', 'lmetric'] as const
  ).map(reportFor) as [RunReport, RunReport, RunReport, RunReport, RunReport];
  const mean = ({ ttft }: RunReport): number => ttft.mean ?? Infinity;
  assert.ok(mean(requestsOnly) < mean(turn), 'all are looked at, not none');
  assert.ok(mean(requestsOnly) < mean(two), 'all are looked at, not two');
  for (const aware of [predicted, product]) {
    assert.ok(mean(aware) < 0.7 * mean(requestsOnly), `${aware.policy} knows prompts and prefixes`);
    assert.ok((aware.hit_share ?? 0) > 1.3 * (requestsOnly.hit_share ?? 0));
  }
});
