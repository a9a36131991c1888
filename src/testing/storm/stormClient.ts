/** One client of the storm, over a real socket: what it sent, when it left, and what it saw. */
import http from 'node:http';
import { sleep, systemClock } from '../../lib/clock.ts';
import { fakeText } from '../engines/fakeEngineAnswers.ts';
import type { StormPlan } from './stormPlan.ts';

/** What a client knows in the end. */
export interface Seen {
  plan: StormPlan;
  /** `whole`: with the last byte. `cut`: the server broke off. `open`: not yet. */
  end: 'open' | 'whole' | 'hung_up' | 'cut';
  /** Null before the head came. */
  status: number | null;
  requestId: string | null;
  body: string;
}

export interface StormTarget {
  port: number;
  path: string;
  key: string;
}

const restMs = 5;
const mostRests = 20;

/** Sends one request as planned. Never rejects. */
export function sendAsPlanned(
  plan: StormPlan,
  options: StormTarget & { connections: http.Agent },
): Promise<Seen> {
  const { port, path, key, connections: agent } = options;
  const seen: Seen = { plan, end: 'open', status: null, requestId: null, body: '' };
  const { stream, order, promptBytes, hangUp } = plan;
  const messages = [
    { role: 'system', content: '.'.repeat(promptBytes) },
    { role: 'user', content: `fake:${JSON.stringify(order)}` },
  ];
  const body = Buffer.from(JSON.stringify({ model: 'any', stream, messages }));
  const headers = {
    authorization: `Bearer ${key}`,
    'content-length': body.length,
    'x-client-request-id': clientRequestId(plan),
  };
  return new Promise((resolve) => {
    const outgoing = http.request({ method: 'POST', port, path, headers, agent });
    // The first end counts: who leaves is then told that the answer broke off.
    const over = (end: Seen['end']): void => {
      if (seen.end !== 'open') return;
      seen.end = end;
      resolve(seen);
    };
    const leave = (): void => {
      over('hung_up');
      outgoing.destroy();
    };
    outgoing.on('error', () => over('cut'));
    outgoing.on('response', (incoming) => {
      seen.status = incoming.statusCode ?? 0;
      seen.requestId = String(incoming.headers['x-request-id']);
      // `over` is called by the end or by what breaks it off.
      void read(incoming, { plan, seen, leave }).then(
        () => over('whole'),
        () => over('cut'),
      );
    });
    if (hangUp?.at === 'upload') {
      outgoing.write(body.subarray(0, body.length / 2), leave);
      return;
    }
    outgoing.end(body);
    if (hangUp?.at === 'time') systemClock.setTimer(hangUp.afterMs, leave);
  });
}

export const clientRequestId = ({ number }: Pick<StormPlan, 'number'>): string => `storm-${number}`;

/** Rejects when the answer breaks off. */
async function read(
  incoming: http.IncomingMessage,
  options: { plan: StormPlan; seen: Seen; leave: () => void },
): Promise<void> {
  const { plan, seen, leave } = options;
  let pieces = 0;
  for await (const piece of incoming as AsyncIterable<Buffer>) {
    seen.body += piece.toString('latin1');
    pieces += 1;
    if (plan.hangUp?.at === 'piece' && pieces === plan.hangUp.count) leave();
    if (plan.readsSlowly && pieces <= mostRests) await sleep(systemClock, restMs);
  }
}

/** What a whole answer was. */
export type Reading =
  | { kind: 'complete' }
  /** A stream with an error event before its end. */
  | { kind: 'broken_off' }
  | { kind: 'refused'; code: string | null }
  | { kind: 'wrong'; why: string };

/** Holds a whole answer to what was asked for. */
export function readingOf({ plan, status, body }: Seen): Reading {
  if (status !== 200) return refusalIn(body);
  return plan.stream ? streamReading(plan, body) : wholeReading(plan, body);
}

interface ChatAnswer {
  error?: { code: string | null };
  choices?: {
    delta?: { content?: string };
    message?: { content?: string };
    finish_reason: string | null;
  }[];
}

function refusalIn(body: string): Reading {
  const { error } = JSON.parse(body) as ChatAnswer;
  if (error === undefined) return { kind: 'wrong', why: `no envelope: ${body}` };
  return { kind: 'refused', code: error.code };
}

function wholeReading({ order }: StormPlan, body: string): Reading {
  const { choices } = JSON.parse(body) as ChatAnswer;
  const isRight = choices?.[0]?.message?.content === fakeText(order);
  return isRight ? { kind: 'complete' } : { kind: 'wrong', why: `not its text: ${body}` };
}

function streamReading({ order }: StormPlan, body: string): Reading {
  const events = body.split('\n\n');
  if (events.pop() !== '' || events.pop() !== 'data: [DONE]') {
    return { kind: 'wrong', why: `no end: ${body.slice(-200)}` };
  }
  const chunks = events.map((event) => JSON.parse(event.slice('data: '.length)) as ChatAnswer);
  const text = chunks.map(({ choices }) => choices?.[0]?.delta?.content ?? '').join('');
  const expected = fakeText(order);
  if (!expected.startsWith(text)) return { kind: 'wrong', why: `not its text: ${text}` };
  if (chunks.at(-1)?.error !== undefined) return { kind: 'broken_off' };
  const hasReason = chunks.some(({ choices }) => choices?.[0]?.finish_reason === 'stop');
  const isComplete = text === expected && hasReason;
  return isComplete ? { kind: 'complete' } : { kind: 'wrong', why: `incomplete: ${text}` };
}
