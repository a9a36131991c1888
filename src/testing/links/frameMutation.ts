/** Messages for fuzzing a link: plausible frames for either side, and ways to spoil them. */
import { randomInt, type Random } from '../../lib/random.ts';
import type { ResetCode } from '../../protocol/link.ts';
import { encodeCredit, encodeFrame, encodePing, frameType } from '../../protocol/wire/frame.ts';
import { encodeReset, resetCodes } from '../../protocol/wire/resetCode.ts';
import { challenge, endOf, helloOf, openOf, welcome } from './linkPair.ts';
import { frames } from './rawLink.ts';

/** What the hostile side remembers of a stream, so that it can be lawful when it wants to. */
interface FuzzStream {
  id: number;
  /** Towards the router: HEAD has gone. */
  head: boolean;
  /** Towards the agent: the body has ended. */
  fin: boolean;
}

/** What the hostile side knows when it makes up a message. */
export interface FuzzView {
  random: Random;
  /** Which end the real peer is. */
  against: 'router' | 'agent';
  /** How often it breaks a rule on purpose, 0 to 1. */
  malice: number;
  /** Streams that are open as far as it knows. */
  streams: FuzzStream[];
  lastId: number;
}

export function newFuzzView(random: Random, against: FuzzView['against']): FuzzView {
  const malice = pick(random, [0, 0.002, 0.02, 0.3]);
  return { random, against, malice, streams: [], lastId: 0 };
}

/** The real router has opened a stream. */
export function noteOpen(view: FuzzView, id: number): void {
  view.streams.push({ id, head: false, fin: false });
}

const pick = <Item>(random: Random, items: readonly Item[]): Item =>
  items[randomInt(random, items.length)] as Item;

const wicked = ({ random, malice }: FuzzView): boolean => random.float() < malice;

/** A stream that is open, or (wickedly, or for want of one) any id at all. */
function anyStream(view: FuzzView): FuzzStream | undefined {
  const { random, streams } = view;
  if (wicked(view)) return { id: pick(random, strangeIds), head: true, fin: false };
  return streams.length === 0 ? undefined : pick(random, streams);
}

const strangeIds = [0, 1, 7, 2 ** 31, 2 ** 32 - 1];

function forget(view: FuzzView, id: number): void {
  if (!wicked(view)) view.streams = view.streams.filter((stream) => stream.id !== id);
}

function dataFrame(view: FuzzView): Buffer[] {
  const { random, against } = view;
  const stream = anyStream(view);
  if (stream === undefined || (!wicked(view) && !lawful(view, stream))) return [];
  const most = random.float() < 0.02 ? 16_384 : 64;
  const fin = against === 'agent' && random.float() < 0.3;
  if (fin) stream.fin = true;
  const length = wicked(view) ? 0 : 1 + randomInt(random, most);
  const payload = Buffer.alloc(length, 'd');
  const flags = fin || wicked(view) ? 1 : 0;
  return [encodeFrame({ type: frameType.data, flags, stream: stream.id, payload })];
}

function lawful(view: FuzzView, stream: FuzzStream): boolean {
  return view.against === 'router' ? stream.head : !stream.fin;
}

function resetFrame(view: FuzzView): Buffer[] {
  const stream = anyStream(view);
  if (stream === undefined) return [];
  forget(view, stream.id);
  const code = pick(view.random, Object.keys(resetCodes) as ResetCode[]);
  return [encodeReset({ stream: stream.id, code, detail: 'fuzz' })];
}

function creditFrame(view: FuzzView): Buffer[] {
  const stream = anyStream(view);
  if (stream === undefined || !wicked(view)) return [];
  const bytes = pick(view.random, [1, 1000, 131_072, 2 ** 20, 2 ** 32 - 1]);
  return [encodeCredit({ stream: stream.id, bytes })];
}

function pingFrame({ random }: FuzzView): Buffer[] {
  const type = pick(random, ['ping', 'pong'] as const);
  return [encodePing({ type, counter: randomInt(random, 4) })];
}

function headFrame(view: FuzzView): Buffer[] {
  const stream = anyStream(view);
  if (stream === undefined || (stream.head && !wicked(view))) return [];
  stream.head = true;
  return [frames.head(stream.id)];
}

function endFrame(view: FuzzView): Buffer[] {
  const stream = anyStream(view);
  if (stream === undefined || (!stream.head && !wicked(view))) return [];
  forget(view, stream.id);
  return [frames.end(stream.id)];
}

const longLine = { atMs: 1, level: 'info', source: 'agent', text: 'x'.repeat(4000) } as const;

const agentControl = [
  frames.control({ type: 'grant', instances: [] }),
  frames.control({ type: 'heartbeat', models: [], engines: [] }),
  frames.control({ type: 'token', accessToken: 'token' }),
  frames.control({ type: 'log', lines: [], dropped: 3 }),
  frames.control({ type: 'trailers', ends: [endOf()] }),
  frames.control({ type: 'goaway', reason: 'draining' }),
  // Over many frames.
  frames.control({ type: 'log', lines: Array(10).fill(longLine), dropped: 0 }),
];

const routerControl = [
  frames.control({ type: 'ack', requestIds: ['req_1'] }),
  frames.control({ type: 'ack', requestIds: Array(200).fill('r'.repeat(64)) }),
  frames.control({ type: 'goaway', reason: 'drain' }),
  frames.control({ type: 'config', models: [], maxConcurrentRequests: 0, storageLimitBytes: null }),
];

const outOfPlace = [frames.control(challenge), frames.control(helloOf()), frames.control(welcome)];

function openFrame(view: FuzzView): Buffer[] {
  if (!wicked(view)) view.lastId += 1;
  noteOpen(view, view.lastId);
  return [frames.open(view.lastId, openOf({ bodyBytes: randomInt(view.random, 100) }))];
}

const controlFrame = (view: FuzzView): Buffer[] => [
  pick(view.random, view.against === 'router' ? agentControl : routerControl),
];

type Maker = (view: FuzzView) => Buffer[];
const bothSay: Maker[] = [dataFrame, dataFrame, resetFrame, creditFrame, pingFrame, controlFrame];
const agentSays: readonly Maker[] = [...bothSay, headFrame, headFrame, endFrame];
const routerSays: readonly Maker[] = [...bothSay, openFrame, openFrame];

/**
 * One message: a few frames that are lawful as far as `malice` lets them be, then maybe spoiled.
 */
export function fuzzMessage(view: FuzzView): Buffer {
  const { random, against } = view;
  const makers = against === 'router' ? agentSays : routerSays;
  const count = 1 + randomInt(random, 4);
  const parts = Array.from({ length: count }, () => pick(random, makers)(view)).flat();
  if (wicked(view)) parts.push(pick(random, outOfPlace));
  if (parts.length === 0) parts.push(...pingFrame(view));
  const message = Buffer.concat(parts);
  return wicked(view) ? spoil(random, message) : message;
}

function spoil(random: Random, message: Buffer): Buffer {
  const at = randomInt(random, message.length);
  const kind = randomInt(random, 7);
  if (kind === 0) return random.bytes(randomInt(random, 200));
  if (kind === 1) return message.subarray(0, at);
  if (kind === 2) return message.subarray(at);
  if (kind === 3)
    return Buffer.concat([message.subarray(0, at), random.bytes(1 + (at % 9)), message]);
  if (kind === 4) return Buffer.concat([message, message]);
  // A byte of the first header (type, flags, stream, length), or any byte.
  const place = kind === 5 ? randomInt(random, Math.min(9, message.length)) : at;
  const spoiled = Buffer.from(message);
  spoiled[place] = (spoiled[place] ?? 0) ^ (1 << randomInt(random, 8));
  return spoiled;
}
