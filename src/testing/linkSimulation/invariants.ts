/**
 * The oracle of the simulation: what must hold at every moment, and at the end, whatever broke. It
 * judges by what clients, engines and the wire saw; the router's own sums are held against those.
 */
import assert from 'node:assert/strict';
import type { AgentEntry, EndpointEntry } from '../../domain/directory.ts';
import type { Outcome } from '../../router/ports.ts';
import type { Call } from './simulatedClient.ts';
import type { SimulatedServer } from './simulatedServer.ts';
import { isWholeAnswer, readStream, wholeText } from './simulatedText.ts';
import type { WireBook, WireStream } from './wireBook.ts';

/** Bounds that the simulation's router was given, or that hold for every router (R6). */
export const bounds = {
  waitingRequests: 13,
  /** Of the fleet: what runs goes back to the queue when it fails, however long that is. */
  slots: 10,
  /** First try, two retries, two that were turned down, eight times continued. */
  opensOfRequest: 13,
  /** The window towards a client, a frame, and what one turn may have beyond. */
  unreadBytes: 256 * 1024 + 64 * 1024,
  /** Beyond as much of an answer it is not continued elsewhere, with a window of its own. */
  resumedBytes: 1024 * 1024,
  pendingTimers: 1500,
} as const;

/** The directory may be late by its poll and a slow answer. */
const latestDirectoryMs = 2500;
/** A sweep's resolution, and what comes with it. */
const sweepSlackMs = 600;
const confirmTimeoutMs = 10_000;
/** Queue, attempts with their timeouts, a slow client, the waits between. */
const longestLifeMs = 150_000;
/** Above it a link's frames may wait to be sent. */
const heldBytes = 200 * 1024;

export interface Watched {
  server: SimulatedServer;
  wire: WireBook;
  calls: ReadonlyMap<string, Call>;
  /** Those that had no outcome a moment ago. */
  open: ReadonlySet<Call>;
  nowMs: number;
  pendingTimers: number;
}

/** Checked whenever the world stands still. */
export function checkMoment(world: Watched): void {
  const { nowMs } = world;
  checkSums(world);
  for (const call of world.open) {
    const { client, requestId } = call;
    assert.ok(call.resolved <= 1, `R1: ${requestId} ended ${call.resolved} times`);
    assert.ok(client.ended + client.destroyed <= 1, `R1: ${requestId} was ended twice`);
    assert.ok(call.opens <= bounds.opensOfRequest, `R6: ${call.opens} attempts of ${requestId}`);
    const unread = bounds.unreadBytes + (call.opens > 1 ? bounds.resumedBytes : 0);
    assert.ok(client.unreadBytes <= unread, `R6: ${requestId} has ${client.unreadBytes}`);
    const isLate = call.result === undefined && nowMs - call.submittedAtMs > longestLifeMs;
    assert.ok(!isLate || call.orphaned, `R1: ${requestId} never ends`);
  }
  const { pendingTimers } = world;
  assert.ok(pendingTimers <= bounds.pendingTimers, `R6: ${pendingTimers} timers`);
}

/** R1, R5, R6: the router's sums against the wire's. */
function checkSums({ server, wire, nowMs }: Watched): void {
  const { router } = server;
  if (router === undefined) return;
  const { claims, inFlight, onLinks } = router.audit();
  assert.equal(claims, inFlight, 'R5: claims are not what instances have in flight');
  const open = [...wire.open()];
  const least = open.filter((one) => !mayBeGivenUp(one, nowMs)).length;
  const most = open.filter((one) => !isGivenUp(one, nowMs)).length;
  // Frames that a link could not send yet are on no wire.
  const unsent = wire.heldAbove(heldBytes) ? Infinity : 0;
  const sums = { claims, onLinks, onWire: [least, most] };
  const fits = (sum: number): boolean => sum >= least && sum <= most + unsent;
  assert.ok(fits(claims), `R1 R5: slots that are held: ${JSON.stringify(sums)}`);
  assert.ok(fits(onLinks), `R1: slots of links: ${JSON.stringify(sums)}`);
  const { waiting } = router.stats();
  const longest = bounds.waitingRequests + bounds.slots;
  assert.ok(waiting <= longest, `R6: ${waiting} requests wait`);
}

const mayBeGivenUp = ({ resetAtMs }: WireStream, nowMs: number): boolean =>
  resetAtMs !== undefined && nowMs - resetAtMs >= confirmTimeoutMs - 1;

const isGivenUp = ({ resetAtMs }: WireStream, nowMs: number): boolean =>
  resetAtMs !== undefined && nowMs - resetAtMs >= confirmTimeoutMs + sweepSlackMs;

/**
 * R4: what the router has read of a first event is with the client in the same moment. Asked
 * when it is known that the router had not given the request up by then.
 */
function checkFirstByte({ client, firstEventAtMs, requestId, result }: Call): void {
  const wasWanted = result?.outcome === 'completed' || result?.outcome === 'stream_error';
  if (firstEventAtMs === undefined || !wasWanted) return;
  assert.equal(client.firstByteAtMs, firstEventAtMs, `R4: the first byte of ${requestId} waited`);
}

/** R2, looked at in the moment in which a request goes to an agent. */
export function checkPlace(where: {
  call: Call;
  endpoint: EndpointEntry;
  /** As the router knows it, and as the control plane has it since. */
  agent: AgentEntry | undefined;
  committed: { entry: AgentEntry; atMs: number };
  /** The router could read the directory since. */
  readableSinceMs: number;
  nowMs: number;
}): 'own' | 'shared' {
  const { call, endpoint, agent, committed, nowMs } = where;
  const what = `R2: ${call.requestId} of ${endpoint.slug}`;
  assert.ok(agent !== undefined, `${what} goes to an agent that nobody knows`);
  const lateMs = nowMs - Math.max(committed.atMs, where.readableSinceMs);
  const isStale = committed.entry.state !== 'enrolled' && lateMs > latestDirectoryMs;
  assert.ok(!isStale, `${what} goes to an agent that was stopped ${lateMs} ms ago`);
  const isOwn = agent.projectId === endpoint.projectId;
  assert.ok(isOwn || agent.projectId === null, `${what} goes to another project's agent`);
  const { boundEndpointIds } = agent;
  const isBound = boundEndpointIds?.includes(endpoint.id) === true;
  assert.ok(boundEndpointIds === null || isBound, `${what} goes to an agent bound elsewhere`);
  assert.ok(!endpoint.exclusive || isBound, `${what} leaves the agents that it is bound to`);
  if (!isOwn && !isBound) assert.ok(endpoint.fallback.enabled, `${what} falls back`);
  const demanded = endpoint.minimumIsolation ?? 'none';
  const isAlone = isOwn || boundEndpointIds?.length === 1;
  assert.ok(demanded === 'none' || isAlone, `${what} is less isolated than it demands`);
  return isOwn ? 'own' : 'shared';
}

/** R6, when a request comes. */
export function checkQueue({ before, after }: { before: number; after: number }): void {
  const isFull = before >= bounds.waitingRequests;
  assert.ok(!isFull || after <= before, `R6: one more waits beside ${before}`);
}

/** A1, in the moment in which an engine gets a request. */
export function checkRun(run: { requestId: string; running: number; granted: number }): void {
  const { requestId, running, granted } = run;
  assert.ok(running <= granted, `A1: ${requestId} runs as number ${running} of ${granted}`);
}

/** After everything is over: what clients have, what is recorded, what is left. */
export function checkEnd(
  world: Watched & { served: ReadonlyMap<string, readonly { output: number }[]> },
): void {
  const { server, calls } = world;
  const left = Object.entries(server.router?.audit() ?? {}).filter(([, count]) => count !== 0);
  assert.deepEqual(left, [], 'R1: something is left');
  for (const call of calls.values()) {
    checkOutcome(call);
    checkAnswer(call);
    checkFirstByte(call);
  }
  checkRecords(world);
}

function checkOutcome(call: Call): void {
  const { client, result, requestId, orphaned } = call;
  if (orphaned) return;
  assert.ok(
    result !== undefined && call.resolved === 1,
    `R1: ${requestId} has ${call.resolved} outcomes`,
  );
  assert.equal(result.answered, client.status !== undefined || client.destroyed > 0, requestId);
  const isWhole = result.outcome === 'completed' || result.outcome === 'engine_refused';
  if (isWhole) assert.equal(client.ended, 1, `R3: ${requestId} has no end`);
  if (!result.answered) assert.equal(client.text, '', `R3: ${requestId} has bytes`);
}

/** R3. */
function checkAnswer(call: Call): void {
  const { client, result, requestId, order, endpoint, stream } = call;
  const frame = { requestId, model: endpoint.slug };
  if (client.status !== 200) return;
  if (!stream) {
    if (result?.outcome !== 'completed') return;
    const isRight = isWholeAnswer(client.text, { ...frame, order });
    return assert.ok(isRight, `R3: ${requestId} got ${shown(client.text)}`);
  }
  const reading = readStream(client.text, frame);
  if (reading.kind === 'wrong') return assert.fail(`R3: ${requestId}: ${shown(reading.why)}`);
  const whole = wholeText(order);
  const isPart = whole.startsWith(reading.text);
  assert.ok(isPart, `R3: ${requestId} got ${shown(reading.text)} of ${shown(whole)}`);
  if (result?.outcome === 'completed') {
    const isAll = reading.text.length === whole.length;
    assert.ok(isAll, `R3: ${requestId} is not whole: ${shown(reading.text)}`);
    assert.ok(reading.finished && reading.done && !reading.error, `R3: the end of ${requestId}`);
  }
  const tells: readonly (Outcome | undefined)[] = ['stream_error', 'revoked', 'shutting_down'];
  if (tells.includes(result?.outcome) && client.destroyed === 0) {
    assert.ok(reading.error && reading.done, `${requestId} does not say how it ended`);
  }
}

/** The end of a long text, where it went wrong most likely. */
const shown = (text: string): string => text.slice(-300);

/** R1: one record for each request that the router took, and what it says of the engine's work. */
function checkRecords({
  server,
  calls,
  served,
}: Watched & { served: ReadonlyMap<string, readonly { output: number }[]> }): void {
  const records = new Map(server.ports.usageRecords.map((one) => [one.requestId, one]));
  assert.equal(records.size, server.ports.usageRecords.length, 'R1: a request has two records');
  for (const call of calls.values()) {
    const { requestId, result, client, atArrival } = call;
    const record = records.get(requestId);
    if (atArrival === 'turned_away') {
      assert.equal(record, undefined, `R1: ${requestId} was turned away and has a record`);
      continue;
    }
    if (call.orphaned && client.ended === 0) continue;
    // What the disk did not take, and the store not yet, died with the router.
    const isLost = record === undefined || record.outcome === 'interrupted';
    if (call.unsafe === 'and_lost' && isLost) continue;
    assert.ok(record !== undefined, `R1: ${requestId} has no record`);
    if (result !== undefined) assert.equal(record.outcome, result.outcome, requestId);
    const wasRefused = atArrival === 'refused';
    assert.ok(
      !wasRefused || record.agentId === null,
      `R4: ${requestId} came to the scheduler after its arrival`,
    );
    const outputs = (served.get(requestId) ?? []).map(({ output }) => output);
    if (record.outcome === 'completed' && record.outputTokens !== null && call.opens === 1) {
      assert.ok(
        outputs.includes(record.outputTokens),
        `${requestId} is charged for ${outputs.join()}`,
      );
    }
  }
}
