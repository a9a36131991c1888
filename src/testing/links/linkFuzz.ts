/**
 * A hostile peer with a seed: it talks to a real end of a link in plausible and in spoiled frames,
 * while that end does its honest work, and every promise of the link is checked after each message.
 *
 * What must hold: nothing throws; a link is either open or closed once with a reason; a closed link
 * tells nobody anything any more; a stream ends once and hears nothing after it; what is held stays
 * within the credit; what the real end sends is well formed; and another link, between honest ends
 * in the same process, never notices.
 */
import assert from 'node:assert/strict';
import { randomInt, seededRandom, type Random } from '../../lib/random.ts';
import { linkLimits } from '../../protocol/limits.ts';
import { FakeClock } from '../fakeClock.ts';
import { fuzzMessage, newFuzzView, noteOpen, type FuzzView } from './frameMutation.ts';
import { createLinkPair, endOf, memoryTransportPair } from './linkPair.ts';
import type { Answer, LinkPair } from './linkPair.ts';
import { rawAgainstAgent, rawAgainstRouter } from './rawLink.ts';
import type { RawAgainstAgent, RawAgainstRouter } from './rawLink.ts';

export interface FuzzReport {
  seed: number;
  rounds: number;
  messages: number;
  /** Links that were still open when their round was over. */
  survived: number;
  /** Closed links by reason. */
  closed: Record<string, number>;
  /** Things that reached the real ends' handlers: proof that the fuzz gets past the door. */
  heard: { control: number; opens: number; chunks: number; ends: number; resets: number };
  /** Requests that went through the honest link meanwhile. */
  bystanderRequests: number;
}

const messagesPerRound = 25;
const roundsPerBystander = 50;

/**
 * Runs until `rounds` are done or `until` says so. Throws an assertion with seed and round on the
 * first broken promise; the same seed repeats it.
 */
export async function fuzzLink(options: {
  seed: number;
  rounds: number;
  until?: () => boolean;
}): Promise<FuzzReport> {
  const { seed } = options;
  const report: FuzzReport = {
    seed,
    rounds: 0,
    messages: 0,
    survived: 0,
    closed: {},
    heard: { control: 0, opens: 0, chunks: 0, ends: 0, resets: 0 },
    bystanderRequests: 0,
  };
  const bystander = await createLinkPair({ transports: await memoryTransportPair() });
  while (report.rounds < options.rounds && options.until?.() !== true) {
    try {
      const random = seededRandom(seed + report.rounds);
      if (report.rounds % 2 === 0) await routerRound(random, report);
      else await agentRound(random, report);
      if (report.rounds % roundsPerBystander === 0) await honestRequest(bystander, report);
    } catch (error) {
      throw new Error(`link fuzz: seed ${seed}, round ${report.rounds}`, { cause: error });
    }
    report.rounds += 1;
  }
  bystander.router.close('shutting_down');
  return report;
}

/** The hostile peer plays the agent. */
async function routerRound(random: Random, report: FuzzReport): Promise<void> {
  const clock = new FakeClock();
  const view = newFuzzView(random, 'router');
  const handshake = view.malice === 0 || random.float() < 0.95;
  const raw = rawAgainstRouter({ clock, handshake });
  const answers: Answer[] = [];
  for (let n = 0; n < messagesPerRound && raw.closed.length === 0; n += 1) {
    if (raw.control.length > 0) routerWork(random, { raw, answers, view });
    await exchange(random, { raw, clock, view, report });
    for (const answer of answers) checkAnswer(answer);
  }
  settleRound(raw, { report, view, streams: answers });
}

/** What an honest router does: open, write, end, cancel. */
function routerWork(
  random: Random,
  round: { raw: RawAgainstRouter; answers: Answer[]; view: FuzzView },
): void {
  const { raw, answers, view } = round;
  if (random.float() < 0.6) {
    const answer = raw.open();
    answer.reading = random.float() < 0.8;
    answer.stream?.write(Buffer.alloc(randomInt(random, 2000)));
    if (random.float() < 0.9) answer.stream?.end();
    answers.push(answer);
    noteOpen(view, answer.stream?.id ?? 0);
  }
  const some = answers[randomInt(random, answers.length + 1)];
  if (random.float() < 0.2) some?.stream?.reset('cancelled', 'fuzz');
}

/** The hostile peer plays the router. */
async function agentRound(random: Random, report: FuzzReport): Promise<void> {
  const clock = new FakeClock();
  const view = newFuzzView(random, 'agent');
  const handshake = view.malice === 0 || random.float() < 0.95;
  const raw = rawAgainstAgent({ clock, handshake });
  for (let n = 0; n < messagesPerRound && raw.closed.length === 0; n += 1) {
    await exchange(random, { raw, clock, view, report });
    agentWork(random, raw);
    for (const request of raw.requests) {
      assert.ok(request.ends.length <= 1 && request.resets.length <= 1, 'told twice of one end');
    }
  }
  report.heard.opens += raw.requests.length;
  settleRound(raw, { report, view, streams: raw.requests });
}

/** What an honest agent does: answer, refuse, confirm a cancel. */
function agentWork(random: Random, raw: RawAgainstAgent): void {
  for (const request of raw.requests) {
    const choice = randomInt(random, 6);
    const { stream } = request;
    if (choice === 0) stream.reset('engine_failed', 'fuzz');
    if (request.resets.length > 0) stream.end(endOf());
    if (choice !== 1 || request.writable < 0) continue;
    // Once for each request: `writable` below 0 marks that its answer was given.
    request.writable = Number.NEGATIVE_INFINITY;
    stream.head({ status: 200, contentType: 'text/event-stream' });
    stream.write(Buffer.alloc(randomInt(random, 300_000)));
    stream.end(endOf());
  }
}

async function exchange(
  random: Random,
  round: {
    raw: RawAgainstRouter | RawAgainstAgent;
    clock: FakeClock;
    view: FuzzView;
    report: FuzzReport;
  },
): Promise<void> {
  const { raw, clock, view, report } = round;
  raw.transport.handlers?.onMessage(fuzzMessage(view));
  report.messages += 1;
  if (random.float() < 0.05) clock.advance(randomInt(random, 8000));
  if (random.float() < 0.5) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(raw.closed.length <= 1, 'closed twice');
  assert.ok(raw.peer.openStreams() <= linkLimits.maxStreams);
}

function checkAnswer(answer: Answer): void {
  const { ends, resets, confirmed, heads, chunks } = answer;
  assert.ok(ends.length + resets.length + confirmed.length <= 1, 'a stream ended twice');
  assert.ok(heads.length <= 1, 'two heads');
  assert.ok(chunks.length === 0 || heads.length === 1, 'data before the head');
  if (!answer.reading) assert.ok(answer.bytes <= linkLimits.creditTowardsRouterBytes);
}

/** The round is over: a closed link must be closed well, and stay silent. */
function settleRound(
  raw: RawAgainstRouter | RawAgainstAgent,
  round: { report: FuzzReport; view: FuzzView; streams: Answer[] },
): void {
  const { report, view, streams } = round;
  const { heard } = report;
  heard.control += raw.control.length;
  for (const stream of streams) {
    heard.chunks += stream.chunks.length;
    heard.ends += stream.ends.length;
    heard.resets += stream.resets.length + stream.confirmed.length;
  }
  raw.transport.frames();
  const [closed] = raw.closed;
  if (view.malice === 0) assert.equal(closed, undefined, 'closed on a peer that kept the rules');
  if (closed === undefined) {
    report.survived += 1;
    raw.peer.close('shutting_down', 'the round is over');
  } else {
    report.closed[closed.reason] = (report.closed[closed.reason] ?? 0) + 1;
    assert.equal(closed.by, 'us');
    assert.notEqual(closed.detail, '', 'closed without saying why');
  }
  assert.equal(raw.transport.closes.length, 1);
  assert.equal(raw.peer.openStreams(), 0);
  for (const stream of streams) if (view.against === 'router') checkEnded(stream);
  const before = streams.map((stream) => stream.chunks.length);
  raw.deliver(Buffer.alloc(40, 6));
  assert.deepEqual(
    streams.map((stream) => stream.chunks.length),
    before,
  );
}

/** A link that is gone has told the router's end of every stream, in one way or another. */
function checkEnded(stream: Answer): void {
  const told = stream.ends.length + stream.resets.length + stream.confirmed.length;
  assert.equal(told, 1, 'a stream was left without an end');
}

async function honestRequest(bystander: LinkPair, report: FuzzReport): Promise<void> {
  const before = bystander.requests.length;
  const answer = bystander.open();
  answer.stream.end();
  await bystander.until(() => bystander.requests.length > before);
  const request = bystander.requests.at(-1);
  request?.stream.head({ status: 200, contentType: 'text/plain' });
  request?.stream.write(Buffer.from('unharmed'));
  request?.stream.end(endOf());
  await bystander.until(() => answer.ends.length === 1);
  assert.equal(answer.text, 'unharmed');
  report.bystanderRequests += 1;
}
