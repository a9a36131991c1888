/** Long prompts that hold up everybody else of their project (`placing/longPrompts`). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../../lib/random.ts';
import { agentEntry, projectEntry, routedRequest } from '../../testing/router/directoryEntries.ts';
import type { RoutedRequest } from '../agents/matching.ts';
import { tierTable } from '../tiers/tiers.ts';
import { Scheduler } from './scheduler.ts';
import type { Dispatch, SchedulerEvent, UntimedEvent } from './schedulerEvents.ts';

const usualTokens = 9000;
const longTokens = 60_000;
/** What computing a token takes in these tests. */
const msPerToken = 0.05;
const bytesPerToken = 4;

const agents = ['a', 'b', 'c', 'd'];
const unlimited = { tokensPerMinute: null, requestsPerMinute: null, concurrentPerProject: 64 };
const tiers = tierTable({ free: unlimited, cpu_amd_optimized: unlimited });

type Started = Pick<Dispatch, 'requestId' | 'agentId' | 'claim'>;

/** Four agents that do one request at a time, with the time in hand. */
function rig({ projectId }: { projectId: string | null }) {
  const scheduler = new Scheduler({ random: seededRandom(1), config: { tiers } });
  let phase: 'rush' | 'after' = 'rush';
  let nowMs = 1000;
  let sent = 0;
  const send = (event: UntimedEvent): Started[] => {
    const commands = scheduler.handle({ ...event, atMs: nowMs } as SchedulerEvent);
    if (phase === 'after') assert.deepEqual(scheduler.audit().claimable, [], 'W1');
    const [timer] = commands.filter((one) => one.type === 'set_timer').slice(-1);
    if (timer !== undefined) timerAtMs = timer.atMs;
    return commands
      .filter((one) => one.type === 'dispatch')
      .map(({ requestId, agentId, claim }) => ({ requestId, agentId, claim }));
  };
  let timerAtMs = Infinity;
  const arrive = (tokens: number, over: Partial<RoutedRequest> = {}): Started[] => {
    sent += 1;
    const bodyBytes = tokens * bytesPerToken;
    const request = routedRequest({ id: `r${sent}`, bodyBytes, ...over });
    return send({ type: 'arrive', request });
  };
  const pass = (ms: number): Started[] => {
    nowMs += ms;
    if (timerAtMs > nowMs) return [];
    timerAtMs = Infinity;
    return send({ type: 'tick' });
  };
  /** The prompt of a claim is computed, and its answer is there. */
  const finish = (claim: number): Started[] => {
    const next = send({ type: 'first_byte', claim });
    return [...next, ...send({ type: 'end', claim, slotFree: true })];
  };
  const join = (id: string): Started[] => {
    const instance = { instance: 'i1', modelId: 'model_a', slots: 1, abilities: ['chat'] };
    send({ type: 'agent', entry: agentEntry({ id, projectId }) });
    send({ type: 'join', agentId: id, nonce: 'n1' });
    return send({ type: 'grant', agentId: id, nonce: 'n1', instances: [instance] });
  };
  for (const id of agents) join(id);
  /** Who waits does so no more. */
  const leave = (): void => {
    const ids = Array.from(scheduler.queue.all(), ({ request }) => request.id);
    for (const requestId of ids) send({ type: 'hang_up', requestId, outcome: 'client_closed' });
  };
  const timer = (): number => timerAtMs - nowMs;
  const rushed = (): void => void (phase = 'after');
  return {
    scheduler,
    send,
    arrive,
    pass,
    finish,
    leave,
    timer,
    join,
    rushed,
    lastId: () => `r${sent}`,
  };
}

/** More come than can be served: half of them give up. At last nothing waits, and nothing runs. */
function rush(run: ReturnType<typeof rig>): void {
  const { arrive, pass, finish, leave, scheduler, rushed } = run;
  for (let round = 0; round < 60; round += 1) {
    let wave = Array.from({ length: 40 }, () => arrive(usualTokens)).flat();
    // One prompt after the other on each machine, all machines beside each other.
    for (let waves = 0; wave.length > 0; waves += 1) {
      if (waves === 4) leave();
      const woken = pass(usualTokens * msPerToken);
      wave = [...woken, ...wave.flatMap(({ claim }) => finish(claim))];
    }
  }
  rushed();
  const { waiting, running } = scheduler.counts();
  assert.deepEqual([waiting, running], [0, 0]);
}

/** By its own timers it starts before its deadline. */
function wakes({ timer, pass }: ReturnType<typeof rig>): { waitedMs: number; started: Started } {
  let waitedMs = 0;
  let started: Started | undefined;
  while (started === undefined && waitedMs < 29_000 && timer() < 29_000) {
    const ms = timer();
    waitedMs += ms;
    [started] = pass(ms);
  }
  assert.ok(started !== undefined, `woken after ${waitedMs} ms, next in ${timer()} ms`);
  return { waitedMs, started };
}

test('after a rush long prompts take every machine, and short ones wait behind them', () => {
  const run = rig({ projectId: 'proj_a' });
  assert.equal(run.arrive(longTokens).length + run.arrive(longTokens).length, 2, 'nothing is long');
  run.pass(longTokens * msPerToken);
  run.finish(1);
  run.finish(2);
  rush(run);
  const [taken] = run.arrive(longTokens);
  assert.ok(taken !== undefined, 'B1: one of them takes it');
  assert.deepEqual(run.arrive(longTokens), [], 'the others are kept for short ones');
  for (let n = 0; n < 3; n += 1) assert.equal(run.arrive(usualTokens).length, 1);
});

test('a long prompt waits beside idle machines until its deadline', () => {
  const run = rig({ projectId: 'proj_a' });
  rush(run);
  const [taken] = run.arrive(longTokens);
  assert.deepEqual(run.arrive(longTokens), []);
  const { waitedMs, started } = wakes(run);
  assert.ok(waitedMs > 1000, `woken after ${waitedMs} ms`);
  assert.notEqual(started.agentId, taken?.agentId, 'B1');
});

test('a long prompt stays kept when the machine for such has gone', () => {
  const run = rig({ projectId: 'proj_a' });
  rush(run);
  const [taken] = run.arrive(longTokens);
  assert.deepEqual(run.arrive(longTokens), []);
  const { agentId = '' } = taken ?? {};
  const [next] = run.send({ type: 'leave', agentId, nonce: 'n1' });
  assert.equal(next?.requestId, run.lastId());
});

test('a project is kept from machines for the sake of another one', () => {
  const run = rig({ projectId: null });
  rush(run);
  run.arrive(longTokens);
  assert.deepEqual(run.arrive(longTokens), []);
  const other = projectEntry({ id: 'proj_b' });
  const started = run.arrive(longTokens, { project: other });
  assert.deepEqual(started.length, 1);
});

test('a long prompt that a busy machine holds waits beside idle ones until its deadline', () => {
  const run = rig({ projectId: 'proj_a' });
  rush(run);
  const prompt = cachedPrompt(longTokens);
  const [first] = run.arrive(longTokens, { prompt });
  assert.ok(first !== undefined);
  run.pass(longTokens * msPerToken);
  run.finish(first.claim);
  assert.equal(run.arrive(longTokens, { prompt }).length, 1, 'little of it is left to do there');
  assert.deepEqual(run.arrive(longTokens, { prompt }), []);
  assert.deepEqual(run.scheduler.audit().claimable, [], 'W1');
  wakes(run);
});

/** A prompt that is the same each time. */
function cachedPrompt(of: number): { blocks: number[]; blockBytes: number } {
  const blockBytes = 1024;
  const count = Math.floor((of * bytesPerToken) / blockBytes);
  return { blockBytes, blocks: Array.from({ length: count }, (_none, at) => of + at) };
}

const tokens = fc.constantFrom(100, usualTokens, 20_000, longTokens, 2 * longTokens);
const happening = fc.oneof(
  {
    arbitrary: fc.record({
      what: fc.constant('arrive' as const),
      tokens,
      other: fc.boolean(),
      known: fc.boolean(),
    }),
    weight: 6,
  },
  { arbitrary: fc.record({ what: fc.constant('finish' as const), which: fc.nat(20) }), weight: 5 },
  { arbitrary: fc.record({ what: fc.constant('pass' as const), ms: fc.nat(4000) }), weight: 3 },
  {
    arbitrary: fc.record({
      what: fc.constantFrom('leave' as const, 'join' as const),
      agent: fc.nat(3),
    }),
    weight: 1,
  },
);

test('somebody waits beside a machine that long prompts may have again (S3)', () => {
  const fleets = fc.constantFrom('proj_a', null);
  const happenings = fc.array(happening, { minLength: 10, maxLength: 60 });
  const property = fc.property(fleets, happenings, (projectId, all) => {
    const run = rig({ projectId });
    rush(run);
    const running: Started[] = [];
    const project = projectEntry({ id: 'proj_b' });
    for (const one of all) {
      if (one.what === 'arrive') {
        const prompt = one.known ? { prompt: cachedPrompt(one.tokens) } : {};
        const whose = one.other && projectId === null ? { project } : {};
        running.push(...run.arrive(one.tokens, { ...whose, ...prompt }));
      } else if (one.what === 'pass') running.push(...run.pass(one.ms));
      else if (one.what === 'finish') {
        const [claimed] = running.splice(one.which % Math.max(1, running.length), 1);
        if (claimed !== undefined) running.push(...run.finish(claimed.claim));
      } else if (one.what === 'leave') {
        run.send({ type: 'leave', agentId: agents[one.agent] ?? '', nonce: 'n1' });
      } else running.push(...run.join(agents[one.agent] ?? ''));
    }
  });
  fc.assert(property, { numRuns: 60 });
});

test('a long prompt that came while all were at work waits beside idle machines', () => {
  const run = rig({ projectId: 'proj_a' });
  rush(run);
  run.arrive(longTokens);
  const short = [1, 2, 3].flatMap(() => run.arrive(usualTokens));
  assert.equal(short.length, 3);
  assert.deepEqual(run.arrive(longTokens), [], 'nobody is free');
  run.pass(usualTokens * msPerToken);
  assert.deepEqual(
    short.flatMap(({ claim }) => run.finish(claim)),
    [],
    'those are kept for short ones',
  );
  wakes(run);
});

test('one that waits counts as one more each time that its endpoint is changed', () => {
  const { arrive, send, scheduler } = rig({ projectId: null });
  for (let n = 0; n < agents.length; n += 1) arrive(usualTokens);
  const longish = 4 * usualTokens;
  arrive(longish);
  assert.equal(scheduler.counts().waiting, 1);
  const { model, ...request } = routedRequest();
  for (let n = 0; n < 400; n += 1) {
    send({ type: 'endpoint', endpoint: request.endpoint, project: request.project, model });
  }
  const [pool] = scheduler.fleet.pools.of(routedRequest(), 'shared');
  assert.equal(pool?.long.most(agents.length), agents.length, 'too much is asked for');
});
