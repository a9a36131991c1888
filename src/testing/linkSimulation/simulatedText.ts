/**
 * What a simulated engine says, and what a client must read of it to the byte. Texts follow from
 * the request alone, name it in every piece, and hold what is easily torn: emoji, combining marks,
 * CJK. The wire is written down here once more, by hand, so that it is not compared with itself.
 */

/** What a request asks of its engine; the client's message holds it as JSON. */
export interface SimulatedOrder {
  /** Which request it is: stands in every piece. */
  tag: string;
  pieces: number;
  /** Added to every piece. */
  padding: number;
  /** The engine refuses it with a 400, whoever is asked. */
  refused: boolean;
}

const marks = [
  '🦜',
  'e\u0301',
  '漢字',
  '👩‍🚀',
  'ß',
  '\u05e9\u05c1',
  '“x”',
  '\\',
  'نص',
  '\u{1f1f8}\u{1f1ea}',
];

/** The n-th piece of an answer. */
export function pieceOf({ tag, padding }: SimulatedOrder, n: number): string {
  return `${tag}#${n}${marks[n % marks.length]}${'.'.repeat(padding)} `;
}

export function wholeText(order: SimulatedOrder): string {
  return Array.from({ length: order.pieces }, (_, n) => pieceOf(order, n)).join('');
}

/** The body that a client sends. */
export function bodyOf(order: SimulatedOrder, stream: boolean): Buffer {
  const messages = [{ role: 'user', content: `sim:${JSON.stringify(order)}` }];
  return Buffer.from(JSON.stringify({ messages, stream }));
}

/** What a body orders, and what of its answer it holds already (an answer that is continued). */
export function orderIn(body: Record<string, unknown>): { order: SimulatedOrder; said: string } {
  const messages = body['messages'] as { role: string; content: string }[];
  const asked = messages.find(({ content }) => content.startsWith('sim:'));
  if (asked === undefined) throw new Error(`no order in ${JSON.stringify(body)}`);
  const last = messages.at(-1);
  const said = last?.role === 'assistant' ? last.content : '';
  return { order: JSON.parse(asked.content.slice('sim:'.length)) as SimulatedOrder, said };
}

export interface AnswerFrame {
  requestId: string;
  model: string;
}

/** What became of the text in a client's bytes. */
export type Reading =
  | { kind: 'fits'; text: string; finished: boolean; done: boolean; error: boolean }
  | { kind: 'wrong'; why: string };

interface Chunk {
  created?: unknown;
  error?: unknown;
  choices?: { delta?: { content?: string }; finish_reason?: string | null }[];
  x_xim_resumed?: number;
}

/** Holds the bytes of a stream to the promise, event by event. */
export function readStream(text: string, frame: AnswerFrame): Reading {
  const events = text.split('\n\n');
  const torn = events.pop() ?? '';
  if (torn !== '') return { kind: 'wrong', why: `a torn event: ${torn.slice(0, 200)}` };
  const reading = { kind: 'fits' as const, text: '', finished: false, done: false, error: false };
  let created: unknown;
  for (const [at, event] of events.entries()) {
    if (reading.done) return { kind: 'wrong', why: `something follows [DONE]: ${event}` };
    if (event === 'data: [DONE]') {
      reading.done = true;
      continue;
    }
    if (reading.error) return { kind: 'wrong', why: `something follows an error: ${event}` };
    const chunk = parsed(event);
    if (chunk === undefined) return { kind: 'wrong', why: `no event: ${event.slice(0, 200)}` };
    if (chunk.error !== undefined) {
      reading.error = true;
      continue;
    }
    if (reading.finished) return { kind: 'wrong', why: `something follows the end: ${event}` };
    created ??= chunk.created;
    const choice = chunk.choices?.[0];
    const expected = eventOf({ ...frame, created, first: at === 0, chunk });
    if (event !== expected) return { kind: 'wrong', why: `${event}\nis not\n${expected}` };
    reading.text += choice?.delta?.content ?? '';
    reading.finished = choice?.finish_reason === 'stop';
  }
  return reading;
}

function parsed(event: string): Chunk | undefined {
  if (!event.startsWith('data: ')) return undefined;
  try {
    return JSON.parse(event.slice('data: '.length)) as Chunk;
  } catch {
    return undefined;
  }
}

/** The event of a piece of text, or of the end, as the surface promises it. */
function eventOf(parts: AnswerFrame & { created: unknown; first: boolean; chunk: Chunk }): string {
  const { created, model, first, chunk } = parts;
  const choice = chunk.choices?.[0];
  const content = choice?.delta?.content;
  const isEnd = choice?.finish_reason === 'stop';
  const piece = content === undefined ? {} : { content };
  const delta = first ? { role: 'assistant', content: content ?? '', refusal: null } : piece;
  const whole = { index: 0, delta, logprobs: null, finish_reason: isEnd ? 'stop' : null };
  const head = { id: idOf(parts), object: 'chat.completion.chunk', created, model };
  const resumed = chunk.x_xim_resumed;
  const extra = resumed === undefined ? {} : { x_xim_resumed: resumed };
  return `data: ${JSON.stringify({ ...head, choices: [whole], ...extra })}`;
}

/** Whether bytes that are no stream are the answer to a request. */
export function isWholeAnswer(
  text: string,
  frame: AnswerFrame & { order: SimulatedOrder },
): boolean {
  const { created } = JSON.parse(text) as { created: number };
  const { order, model } = frame;
  const message = { role: 'assistant', content: wholeText(order), refusal: null };
  const choices = [{ index: 0, message, logprobs: null, finish_reason: 'stop' }];
  const head = { id: idOf(frame), object: 'chat.completion', created, model };
  return text.startsWith(JSON.stringify({ ...head, choices }).slice(0, -1));
}

const idOf = ({ requestId }: AnswerFrame): string => `chatcmpl-${requestId.replace(/^req_/, '')}`;
