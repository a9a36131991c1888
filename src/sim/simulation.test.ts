/** Whole runs on small traces: what a router is told, and when; faults, deadlines, measures. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../lib/clock.ts';
import { randomInt, seededRandom } from '../lib/random.ts';
import type { Fault } from './faultSpec.ts';
import { kvTokens, roundTripMs } from './limits.ts';
import { orderNames } from './orders/orderNames.ts';
import { orders } from './orders/orders.ts';
import { publishedNames } from './policies/policyNames.ts';
import { policies } from './policies/policies.ts';
import { PolicyRouter } from './policyRouter.ts';
import { reportOf, type RunReport } from './report.ts';
import type { RouterCommand, RouterEvent, SimulatedRouter } from './routerPort.ts';
import { SchedulerRouter } from './schedulerRouter.ts';
import { Simulation, type SimulationResult } from './simulation.ts';
import type { TraceRequest } from './traces/traceRequest.ts';

function ask(atMs: number, more: Partial<TraceRequest> = {}): TraceRequest {
  return { atMs, tenant: 'all', inputTokens: 1_000, outputTokens: 10, blocks: [], ...more };
}

/** Random requests of a few tenants that go on with a few conversations. */
function someRequests(count: number, perS: number): TraceRequest[] {
  const random = seededRandom(count);
  return Array.from({ length: count }, (_none, at) => {
    const inputTokens = 1 + randomInt(random, at % 9 === 0 ? 30_000 : 4_000);
    const chat = randomInt(random, 4);
    const blocks = Array.from(
      { length: Math.ceil(inputTokens / 512) },
      (_no, block) => chat * 1_000 + block,
    );
    const tenant = `t${randomInt(random, 3)}`;
    const outputTokens = 1 + randomInt(random, 200);
    return { atMs: (at / perS) * 1_000, tenant, inputTokens, outputTokens, blocks };
  });
}

interface Run {
  requests: readonly TraceRequest[];
  router: SimulatedRouter;
  machines?: readonly number[];
  faults?: readonly Fault[];
  queueTimeoutMs?: number;
}

function run({ requests, router, machines = [1, 1], ...more }: Run): SimulationResult {
  return new Simulation({
    requests,
    router,
    machines: machines.map((slowness) => ({ hardware: 'A100' as const, slowness })),
    faults: [],
    queueTimeoutMs: Infinity,
    clock: systemClock,
    progress: () => {},
    ...more,
  }).run();
}

const roundRobin = (inFlightCap = Infinity): PolicyRouter =>
  new PolicyRouter({
    policy: policies['round-robin']({ random: seededRandom(1) }),
    order: orders.fcfs(),
    inFlightCap,
  });

/** Notes what a router is told, and does as another one says. */
function watched(router: SimulatedRouter): SimulatedRouter & { events: RouterEvent[] } {
  const events: RouterEvent[] = [];
  return {
    events,
    handle(event): readonly RouterCommand[] {
      events.push(event);
      return router.handle(event);
    },
  };
}

function measured(result: SimulationResult): Omit<RunReport, 'decision_us'> {
  const name = { policy: 'p', order: null, trace: 't', fleet: 'f', speed: 1, seed: 1 };
  const { decision_us: _real, ...rest } = reportOf(name, result);
  return rest;
}

test('S2: a router that is told something early, or something that it cannot see', () => {
  const router = watched(roundRobin());
  const { requests } = run({ requests: [ask(0, { blocks: [1, 2] }), ask(500)], router });
  const seen = router.events.filter(({ type }) => type !== 'heartbeat');
  assert.deepEqual(
    seen.map(({ type }) => type),
    ['join', 'join', 'arrive', 'first_byte', 'end', 'arrive', 'first_byte', 'end'],
  );
  const [, joined, arrived, firstByte, end] = seen;
  assert.deepEqual(joined, {
    type: 'join',
    atMs: 0,
    instance: { id: 1, hardware: 'A100', slots: 256, kvTokens },
  });
  assert.deepEqual(arrived, {
    type: 'arrive',
    atMs: 0,
    request: { id: 0, tenant: 'all', inputTokens: 1_000, blocks: [1, 2], blockTokens: 512 },
  });
  // 1,000 tokens in one step: 34.6 + (75.1 − 34.6) · 488/512 + 3.5e-6 · 1,000 · 500 + 3.
  const stepMs = 34.6 + (40.5 * 488) / 512 + 1.75 + 3;
  assert.ok(Math.abs((firstByte?.atMs ?? 0) - stepMs - roundTripMs) < 1e-9);
  const usage = { inputTokens: 1_000, cachedTokens: 0, outputTokens: 10 };
  assert.deepEqual(end?.type === 'end' && end.usage, usage);
  assert.equal(requests[0]?.endAtMs, end?.atMs);
});

test('S2: times that go back, and heartbeats that do not come', () => {
  const router = watched(roundRobin());
  run({ requests: someRequests(100, 4), router });
  for (const [at, { atMs }] of router.events.entries()) {
    assert.ok(atMs >= (router.events[at - 1]?.atMs ?? 0));
  }
  const beats = router.events.filter(({ type }) => type === 'heartbeat');
  assert.ok(beats.length >= 8, 'two machines in 25 s');
});

for (const policy of publishedNames) {
  for (const order of [null, ...orderNames]) {
    test(`S1, S4: ${policy}, ${order ?? 'bound on arrival'}: lost requests, or chance`, () => {
      const once = (): SimulationResult =>
        run({
          requests: someRequests(150, 12),
          machines: [1, 3, 1],
          queueTimeoutMs: 9_000,
          faults: [
            { machine: 1, fromS: 3, toS: 6, slowdown: null },
            { machine: 3, fromS: 2, toS: 5, slowdown: 5 },
          ],
          router: new PolicyRouter({
            policy: policies[policy]({ random: seededRandom(4) }),
            order: orders[order ?? 'fcfs'](),
            inFlightCap: order === null ? Infinity : 4,
          }),
        });
      const result = once();
      for (const { phase, firstByteAtMs, endAtMs } of result.requests) {
        assert.ok(phase === 'done' || phase === 'failed', phase);
        if (phase === 'done') assert.ok((endAtMs ?? 0) >= (firstByteAtMs ?? Infinity));
      }
      assert.ok(result.requests.some(({ phase }) => phase === 'done'));
      assert.deepEqual(measured(once()), measured(result));
    });
  }
}

test('S1, S4: xim, the scheduler itself: lost requests, or chance', () => {
  const once = (): SimulationResult =>
    run({
      requests: someRequests(150, 12),
      machines: [1, 3, 1],
      queueTimeoutMs: 9_000,
      faults: [
        { machine: 1, fromS: 3, toS: 6, slowdown: null },
        { machine: 3, fromS: 2, toS: 5, slowdown: 5 },
      ],
      router: new SchedulerRouter({
        random: seededRandom(4),
        queueTimeoutMs: 9_000,
        inFlightCap: 256,
      }),
    });
  const result = once();
  for (const { phase } of result.requests) assert.ok(phase === 'done' || phase === 'failed', phase);
  assert.ok(result.requests.filter(({ phase }) => phase === 'done').length > 50);
  assert.deepEqual(measured(once()), measured(result));
});

test('S3: a request that has failed and still holds a machine', () => {
  // The first one takes all of the machine for longer than the second one may wait.
  const requests = [ask(0, { inputTokens: 200_000, outputTokens: 2 }), ask(10), ask(60_000)];
  const router = watched(roundRobin());
  const result = run({ requests, router, machines: [1], queueTimeoutMs: 5_000 });
  assert.deepEqual(
    result.requests.map(({ phase }) => phase),
    ['failed', 'failed', 'done'],
  );
  const hangUps = router.events.filter(({ type }) => type === 'hang_up');
  assert.deepEqual(
    hangUps.map(({ atMs }) => atMs),
    [5_005, 5_015],
  );
  const [, , third] = result.requests;
  assert.ok((third?.firstByteAtMs ?? Infinity) - 60_000 < 100, 'the machine is free again');
  const report = measured(result);
  assert.deepEqual(
    [report.requests, report.share_failed, report.share_under_5s],
    [3, 2 / 3, 1 / 3],
  );
  assert.deepEqual(report.long, { share_under_5s: 0, share_failed: 1 });
});

test('a cap that is exceeded, or a queue that is not used', () => {
  let inFlight = 0;
  let most = 0;
  const inner = roundRobin(3);
  const router: SimulatedRouter = {
    handle(event) {
      if (event.type === 'end') inFlight -= 1;
      const commands = inner.handle(event);
      inFlight += commands.filter(({ type }) => type === 'dispatch').length;
      most = Math.max(most, inFlight);
      return commands;
    },
  };
  run({ requests: someRequests(60, 100), router });
  assert.equal(most, 2 * 3);
  assert.equal(inFlight, 0);
});

test('a machine that goes away: what waits is lost, or what streams is not', () => {
  // Machine 1 streams the first and has not begun the third when it goes away at 1 s.
  const long = { outputTokens: 500 };
  const requests = [ask(0, long), ask(100, long), ask(995, { inputTokens: 9_000 }), ask(1_100)];
  const router = watched(roundRobin());
  const faults = [{ machine: 1, fromS: 1, toS: 60, slowdown: null }];
  const result = run({ requests, router, faults });
  assert.deepEqual(
    result.requests.map(({ phase, dispatch }) => [phase, dispatch?.machine]),
    [
      ['failed', 0],
      ['done', 1],
      ['done', 1],
      ['done', 1],
    ],
  );
  const told = router.events.filter(({ type }) => ['hang_up', 'failed', 'leave'].includes(type));
  assert.deepEqual(
    told.map(({ type, atMs }) => [type, atMs]),
    [
      ['hang_up', 1_005],
      ['failed', 1_005],
      ['leave', 1_005],
    ],
  );
});

test('all machines away: requests that nobody serves when one is back', () => {
  const faults = [1, 2].map((machine) => ({ machine, fromS: 0.5, toS: 25, slowdown: null }));
  const router = watched(roundRobin());
  const result = run({ requests: [ask(1_000), ask(2_000)], router, faults });
  assert.deepEqual(
    result.requests.map(({ phase }) => phase),
    ['done', 'done'],
  );
  const joins = router.events.filter(({ type }) => type === 'join');
  assert.deepEqual(
    joins.map(({ atMs }) => atMs),
    [0, 0, 25_005, 25_005],
  );
});

test('a request that no machine could ever hold, which waits for ever', () => {
  const result = run({
    requests: [ask(0, { inputTokens: kvTokens }), ask(1)],
    router: roundRobin(),
  });
  assert.deepEqual(
    result.requests.map(({ phase }) => phase),
    ['failed', 'done'],
  );
});

test('figures that are not what happened', () => {
  const requests = [ask(0, { outputTokens: 1 }), ask(60_000, { tenant: 't2', outputTokens: 11 })];
  const report = measured(run({ requests, router: roundRobin(), machines: [1] }));
  const ttft = report.ttft.max ?? 0;
  assert.ok(Math.abs(ttft - (34.6 + (40.5 * 488) / 512 + 4.75 + roundTripMs) / 1_000) < 1e-9);
  // Ten steps after the first token, with a context of 1,001 to 1,010.
  const steps = (10 * 12.7 + 82e-6 * 10 * 1_005.5) / 1_000;
  assert.ok(Math.abs((report.tpot.mean ?? 0) - steps / 10) < 1e-9);
  assert.ok(Math.abs((report.e2e.max ?? 0) - ttft - steps) < 1e-9);
  assert.ok(Math.abs((report.e2e.p50 ?? 0) - ttft) < 1e-9);
  assert.equal(report.tpot.p99, report.tpot.max);
  assert.deepEqual([report.share_under_5s, report.share_failed, report.hit_share], [1, 0, 0]);
  assert.ok(Math.abs(report.tokens_per_s - 12 / (60 + ttft + steps)) < 1e-9);
  assert.deepEqual(
    report.tenants.map(({ tenant, requests: count }) => [tenant, count]),
    [
      ['all', 1],
      ['t2', 1],
    ],
  );
  for (const { ttft_p99: p99 } of report.tenants) assert.ok(Math.abs((p99 ?? 0) - ttft) < 1e-9);
});

test('a predictor that is measured by other requests than the last nine tenths', () => {
  let at = -1;
  const router: SimulatedRouter = {
    handle(event) {
      if (event.type !== 'arrive') return [];
      at += 1;
      // A first byte takes 100 ms or so; the first of ten is far off and does not count.
      const predicted = { ttftMs: at === 0 ? 1e6 : 200, p90Ms: at % 2 === 0 ? 1e6 : 1 };
      return [{ type: 'dispatch', request: event.request.id, instance: 0, predicted }];
    },
  };
  const requests = Array.from({ length: 10 }, (_none, n) => ask(n * 10_000));
  const { requests: done, ...result } = run({ requests, router, machines: [1] });
  const ttftMs = done[1]?.firstByteAtMs ?? 0;
  const report = measured({ requests: done, ...result });
  const error = (200 - (ttftMs - 10_000)) / (ttftMs - 10_000);
  assert.ok(Math.abs((report.predictor.mape ?? 0) - error) < 1e-6);
  assert.equal(report.predictor.p90_coverage, 4 / 9);
});

test('a timer of the router that is not called, or called after it was replaced', () => {
  const calls: number[] = [];
  const router: SimulatedRouter = {
    handle(event) {
      if (event.type === 'tick') calls.push(event.atMs);
      if (event.type !== 'arrive') return [];
      if (event.request.id === 0) {
        return [
          { type: 'set_timer', atMs: 700 },
          { type: 'set_timer', atMs: 900 },
        ];
      }
      return [
        { type: 'reject', request: 0 },
        { type: 'reject', request: 1 },
      ];
    },
  };
  const result = run({ requests: [ask(0), ask(1_000)], router });
  assert.deepEqual(calls, [900]);
  assert.ok(result.requests.every(({ phase }) => phase === 'failed'));
});
