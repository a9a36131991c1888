/**
 * What must hold after the storm: nothing is held any more, every request has its one outcome and
 * its one record, every answer was right, and there is room for as many as before.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { longestPenaltyMs } from '../../domain/failures/limits.ts';
import type { Place } from '../../lib/page.ts';
import type { UsageRow } from '../../store/contract/usageStore.ts';
import { until } from '../until.ts';
import { clientRequestId, readingOf, sendAsPlanned, type Seen } from './stormClient.ts';
import { stormRoutes, type StormPlan, type StormRoute } from './stormPlan.ts';
import { ownSlots, sharedSlots, type StormStage } from './stormStage.ts';

export interface StormFigures {
  requests: number;
  /** What clients saw. */
  complete: number;
  broken_off: number;
  refused: Record<string, number>;
  /** Told that agents failed, although their own engines were to do well: nobody else was left. */
  unlucky: number;
  hung_up: number;
  /** Requests that the router had, and what became of them by their records. */
  records: number;
  outcomes: Record<string, number>;
  /** Where clients left that the router had, by their records. */
  hung_up_in: Record<'queued' | 'waiting' | 'streaming' | 'not_streaming', number>;
  /** Requests that engines saw: more than were begun, where one was tried again. */
  attempts: number;
}

/** Others are tried in silence: more than this share must not hear of what broke around them. */
const unluckyShare = 0.01;
const patience = { timeoutMs: 30_000 };
const everything = 500;

/** Rejects with the first thing that does not hold. Leaves the router stopped. */
export async function judgeStorm(stage: StormStage, seen: readonly Seen[]): Promise<StormFigures> {
  await assertNothingHeld(stage);
  const rows = await recordsOf(stage);
  assertOneRecordEach(stage, rows);
  const figures = assertAnswersRight(stage, { seen, rows });
  await assertFullHouse(stage);
  await assertJournalEmpty(stage);
  return figures;
}

/** Claims, slots, streams and requests in the router, on links, at agents and at engines. */
async function assertNothingHeld(stage: StormStage): Promise<void> {
  const { router } = stage.harness;
  const held = (): unknown[] => Object.entries(router.audit()).filter(([, count]) => count !== 0);
  await until(() => held().length === 0, patience).catch(() => assert.deepEqual(held(), []));
  await until(() => stage.activeAtEngines() === 0, patience);
  const { running, waiting, journal } = router.stats();
  assert.deepEqual({ running, waiting, journal }, { running: 0, waiting: 0, journal: 'ok' });
  for (const agent of router.agents()) assert.equal(agent.inFlight, 0);
  for (const endpoint of router.directory.allEndpoints()) {
    const { agentsReady: _ready, ...counts } = router.endpointStats(endpoint.id);
    assert.deepEqual(counts, { running: 0, waiting: 0 });
  }
}

/** The store's rows, once it has one for each request that ended. */
async function recordsOf(stage: StormStage): Promise<Map<string, UsageRow>> {
  let rows = new Map<string, UsageRow>();
  const complete = async (): Promise<boolean> => {
    rows = await readRows(stage);
    return rows.size >= stage.ended.length;
  };
  await until(complete, patience).catch(() => {});
  return rows;
}

async function readRows({ harness, projectIds }: StormStage): Promise<Map<string, UsageRow>> {
  const rows = new Map<string, UsageRow>();
  for (const projectId of projectIds) {
    let after: Place | null = null;
    do {
      const page = { after, limit: everything };
      const { items, next } = await harness.store.recentUsage({ projectId, page });
      for (const row of items) rows.set(row.requestId, row);
      after = next;
    } while (after !== null);
  }
  return rows;
}

/** Each request that the router had: one outcome in the log, in the counters and in the store. */
function assertOneRecordEach(stage: StormStage, rows: Map<string, UsageRow>): void {
  const { ended, harness } = stage;
  const byId = new Map(ended.map((one) => [one.requestId, one]));
  assert.equal(byId.size, ended.length, 'a request ended twice');
  const missing = ended.filter(({ requestId }) => !rows.has(requestId));
  assert.deepEqual(missing, [], 'requests without a record');
  const strange = [...rows.keys()].filter((requestId) => !byId.has(requestId));
  assert.deepEqual(strange, [], 'records without a request');
  for (const { requestId, outcome } of ended) {
    assert.equal(rows.get(requestId)?.outcome, outcome, `the outcome of ${requestId}`);
  }
  assert.deepEqual(
    countBy(ended, ({ outcome }) => outcome),
    harness.router.stats().outcomes,
  );
}

/** R3: what clients saw is what they asked for, and what their records say. */
function assertAnswersRight(
  stage: StormStage,
  { seen, rows }: { seen: readonly Seen[]; rows: Map<string, UsageRow> },
): StormFigures {
  const endedOf = Map.groupBy(stage.ended, ({ clientRequestId: id }) => id);
  const kinds = seen.map((one) => {
    const ends = endedOf.get(clientRequestId(one.plan)) ?? [];
    assert.ok(ends.length <= 1, `${ends.length} ends of request ${one.plan.number}`);
    if (one.end === 'hung_up') return 'hung_up';
    assert.equal(one.end, 'whole', `the server broke off ${JSON.stringify(one)}`);
    assert.equal(ends[0]?.requestId, one.requestId, JSON.stringify(one));
    return assertAnswerRight(one, rows.get(one.requestId ?? ''));
  });
  const { hung_up = 0, complete = 0, broken_off = 0, ...refused } = countBy(kinds, (kind) => kind);
  const unlucky = seen.filter(({ plan }, at) => {
    return kinds[at] === 'upstream_error' && plan.order.fault === undefined;
  }).length;
  assert.ok(unlucky <= seen.length * unluckyShare, `${unlucky} requests were not tried again`);
  const records = [...rows.values()];
  return {
    requests: seen.length,
    complete,
    broken_off,
    refused,
    unlucky,
    hung_up,
    records: records.length,
    outcomes: countBy(records, ({ outcome }) => outcome),
    hung_up_in: { ...noPhase, ...countBy(records.filter(isHungUp), phaseOf) },
    attempts: stage.startedAtEngines(),
  };
}

/** Gives what it was: `complete`, `broken_off`, or the code of a refusal. */
function assertAnswerRight(seen: Seen, row: UsageRow | undefined): string {
  const what = `request ${seen.plan.number}`;
  const reading = readingOf(seen);
  assert.ok(row !== undefined, `${what} has no record`);
  assert.deepEqual([row.status, row.stream], [seen.status, seen.plan.stream], what);
  switch (reading.kind) {
    case 'wrong':
      return assert.fail(`${what}: ${reading.why}`);
    case 'complete':
      assert.equal(row.outcome, 'completed', what);
      // An engine may break off behind its reason to stop: the text is whole then, and not counted.
      if (row.outputTokens !== null || seen.plan.order.fault === undefined) {
        assert.equal(row.outputTokens, seen.plan.order.chunks, what);
      }
      return 'complete';
    case 'broken_off':
      assert.equal(row.outcome, 'stream_error', what);
      return 'broken_off';
    case 'refused':
      // An engine's refusal has whatever code fits it; ours are called as the outcome is.
      if (row.outcome !== 'engine_refused') assert.equal(reading.code, row.outcome, what);
      return row.outcome;
  }
}

const isHungUp = ({ outcome }: UsageRow): boolean => outcome === 'client_closed';
const noPhase = { queued: 0, waiting: 0, streaming: 0, not_streaming: 0 };

function phaseOf({ agentId, ttftMs, stream }: UsageRow): keyof typeof noPhase {
  if (agentId === null) return 'queued';
  if (!stream) return 'not_streaming';
  return ttftMs === null ? 'waiting' : 'streaming';
}

/**
 * Every slot of every agent serves at the same time: none was lost. Agents that failed in the
 * storm are spared for a while and then must prove themselves: it is filled until it is full.
 */
async function assertFullHouse(stage: StormStage): Promise<void> {
  const rounds: readonly (readonly [StormRoute, number])[] = [
    ['own', ownSlots],
    ['shared', sharedSlots / 2],
    ['guest', sharedSlots / 2],
  ];
  const asked = rounds.flatMap(([route, count]) => Array.from({ length: count }, () => route));
  assert.deepEqual(new Set(asked), new Set(stormRoutes));
  let fullest: Filling = { served: 0, agents: [] };
  const isFull = async (): Promise<boolean> => {
    const filling = await fillHouse(stage, asked);
    if (filling.served > fullest.served) fullest = filling;
    return filling.served === asked.length;
  };
  const bounds = { timeoutMs: 4 * longestPenaltyMs, what: 'a full house' };
  await until(isFull, bounds).catch((error: unknown) => {
    const { message } = error as Error;
    assert.fail(`${message}: ${asked.length} at once; at most ${JSON.stringify(fullest)}`);
  });
}

/** How many were served at one moment, and what agents looked like then. */
interface Filling {
  served: number;
  agents: unknown[];
}

function fillingOf(stage: StormStage, served: number): Filling {
  const agents = stage.harness.router.agents().map(({ penalty, inFlight, slots, instances }) => {
    const abilities = instances.map((one) => one.abilities.join());
    return { inFlight, slots, abilities, penalty };
  });
  return { served, agents };
}

/** When most were served at one moment; in any case each of them is answered. */
async function fillHouse(stage: StormStage, asked: readonly StormRoute[]): Promise<Filling> {
  const order = { chunks: 3, tickMs: 400, firstByteMs: 0, padding: '' };
  const plan: Omit<StormPlan, 'number' | 'route'> = {
    stream: true,
    order,
    promptBytes: 1,
    hangUp: null,
    readsSlowly: false,
  };
  const { connections, targets } = stage;
  let open = asked.length;
  const answers = asked.map((route, number) =>
    sendAsPlanned({ ...plan, route, number }, { ...targets[route], connections }).finally(() => {
      open -= 1;
    }),
  );
  let fullest: Filling = { served: 0, agents: [] };
  const isFull = (): boolean => {
    const served = stage.activeAtEngines();
    if (served > fullest.served) fullest = fillingOf(stage, served);
    return fullest.served === asked.length;
  };
  await until(() => isFull() || open === 0, { ...patience, what: 'answers of a full house' });
  for (const answer of await Promise.all(answers)) {
    assert.deepEqual(readingOf(answer), { kind: 'complete' }, JSON.stringify(answer));
  }
  return fullest;
}

/** The store has everything, so that no segment is needed any more. */
async function assertJournalEmpty(stage: StormStage): Promise<void> {
  const { router, routerDirectory } = stage.harness;
  await stage.endFleet();
  // A router that stops does not wait for a slow store.
  assertOneRecordEach(stage, await recordsOf(stage));
  await router.stop();
  assert.deepEqual(readdirSync(path.join(routerDirectory, 'journal')), []);
}

function countBy<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => string,
): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of items) counts[keyOf(item)] = (counts[keyOf(item)] ?? 0) + 1;
  return counts;
}
