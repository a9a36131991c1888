/**
 * One stream of a chaos run, read by a plain client to its end: when each piece came, and what
 * became of the text. The text names its stream and holds what is easily torn.
 */
import { systemClock } from '../../lib/clock.ts';
import { sseEvents } from './sseEvents.ts';

export interface ChaosTarget {
  url: string;
  key: string;
}

/** What a client has of its stream. Times are monotonic ms. */
export interface ChaosStream {
  text: string;
  expected: string;
  sentAtMs: number;
  /** Of each piece of text. */
  piecesAtMs: number[];
  /** `whole`: finished and right. `told`: ended with an error event, or refused with a status. */
  end: 'open' | 'whole' | 'told' | 'cut' | 'left' | 'wrong';
  status: number;
  /** How often it was continued, as its last chunk says. */
  resumed: number;
  why: string;
}

const marks = '🦜 e\u0301 漢字 👩🏽‍💻 ß “x” \\ 한국어 🇸🇪'.split(' ');

/** The answer that a stream asks for: some `pieces` words, each with the stream's name. */
export function chaosText(name: string, pieces: number): string {
  const words = Array.from({ length: pieces }, (_, n) => `${name}.${n}${marks[n % marks.length]}`);
  return `${words.join(' ')} end`;
}

/** Asks for a text and reads it. Never rejects; aborting the signal hangs up. */
export async function readChaosStream(
  target: ChaosTarget,
  asked: { expected: string; signal?: AbortSignal; onText?: (stream: ChaosStream) => void },
): Promise<ChaosStream> {
  const { expected, signal, onText } = asked;
  const stream: ChaosStream = {
    text: '',
    expected,
    sentAtMs: systemClock.monotonic(),
    piecesAtMs: [],
    end: 'open',
    status: 0,
    resumed: 0,
    why: '',
  };
  try {
    await readInto(stream, target, { signal, onText });
  } catch (error) {
    if (signal?.aborted === true) stream.end = 'left';
    else if (stream.end === 'open') stream.end = 'cut';
    if (stream.why === '') stream.why = (error as Error).message;
  }
  const isRight = stream.end === 'whole' ? stream.text === expected : isBeginning(stream);
  if (!isRight) stream.end = 'wrong';
  return stream;
}

const isBeginning = ({ text, expected }: ChaosStream): boolean => expected.startsWith(text);

interface Chunk {
  error?: { code?: string | null; message?: string };
  choices?: { delta?: { content?: string }; finish_reason?: string | null }[];
  x_xim_resumed?: number;
}

async function readInto(
  stream: ChaosStream,
  { url, key }: ChaosTarget,
  options: { signal: AbortSignal | undefined; onText: ((stream: ChaosStream) => void) | undefined },
): Promise<void> {
  const messages = [{ role: 'user', content: `Repeat exactly: ${stream.expected}` }];
  const response = await fetch(`${url}/chat/completions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      'x-xim-resume': 'on',
    },
    body: JSON.stringify({ model: 'any', stream: true, messages }),
    signal: options.signal ?? null,
  });
  stream.status = response.status;
  if (response.status !== 200 || response.body === null) {
    stream.why = (await response.text()).slice(0, 300);
    stream.end = 'told';
    return;
  }
  let finished = false;
  for await (const data of sseEvents(response.body)) {
    if (data === '[DONE]') {
      if (stream.end === 'open') stream.end = finished ? 'whole' : 'wrong';
      return;
    }
    const chunk = JSON.parse(data) as Chunk;
    if (chunk.error !== undefined) {
      stream.end = 'told';
      stream.why = chunk.error.message ?? '';
    }
    const choice = chunk.choices?.[0];
    finished ||= choice?.finish_reason === 'stop';
    stream.resumed = chunk.x_xim_resumed ?? stream.resumed;
    const content = choice?.delta?.content ?? '';
    if (content === '') continue;
    stream.text += content;
    stream.piecesAtMs.push(systemClock.monotonic());
    options.onText?.(stream);
  }
  throw new Error('the stream ended without its end');
}

/** Characters that are missing before the last one that came, and that came twice. */
export function tornCharacters({ text, expected }: ChaosStream): { lost: number; doubled: number } {
  let at = 0;
  while (at < text.length && text[at] === expected[at]) at += 1;
  if (at === text.length) return { lost: 0, doubled: 0 };
  const rest = text.slice(at);
  const later = expected.indexOf(rest.slice(0, 12), at);
  if (later > at) return { lost: later - at, doubled: 0 };
  const earlier = expected.lastIndexOf(rest.slice(0, 12), at);
  const doubled = earlier === -1 ? rest.length : at - earlier;
  return { lost: 0, doubled };
}

/** The longest wait for a piece after a moment, in ms; undefined: none came. */
export function gapAfter({ piecesAtMs }: ChaosStream, momentMs: number): number | undefined {
  let longest: number | undefined;
  for (const [n, atMs] of piecesAtMs.entries()) {
    const before = piecesAtMs[n - 1];
    if (before === undefined || atMs < momentMs) continue;
    longest = Math.max(longest ?? 0, atMs - before);
  }
  return longest;
}
