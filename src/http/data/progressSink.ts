/**
 * The answer to a client that asked for `X-XIM-Progress: on`: a stream that opens when its request
 * was accepted, carries comments with its place in line while it waits, and then the answer.
 *
 *     idle ──accepted──▶ open ──stream──▶ passing ──▶ over
 *       │                  ├──an answer that is none──▶ holding ──▶ over
 *       │                  └──refused──▶ over
 *       └──refused at once, or answered at once──▶ plain: as if nobody had asked
 *
 * Invariants
 * P1 What goes wrong once the stream is open is told as an error event: the status has left.
 * P2 Comments stand between whole events, and none comes once the answer has begun.
 */
import { errorEnvelope } from '../../api/errors.ts';
import type { Expectation } from '../../domain/waiting/queueOutlook.ts';
import type { ClientSink, Refusal } from '../../router/ports.ts';
import { retrySeconds } from '../exchanges/exchange.ts';
import { largestHeldError } from '../limits.ts';
import type { ResponseSink } from '../listening/responseSink.ts';

type Phase = 'idle' | 'open' | 'passing' | 'holding' | 'plain' | 'over';

const headers = {
  'content-type': 'text/event-stream; charset=utf-8',
  'x-xim-agent': 'none',
  'x-xim-isolation': 'none',
};
const doneEvent = 'data: [DONE]\n\n';

export class ProgressSink implements ClientSink {
  private readonly inner: ResponseSink;
  private phase: Phase = 'idle';
  private held: Buffer[] = [];
  private heldBytes = 0;

  constructor(inner: ResponseSink) {
    this.inner = inner;
  }

  get onDrain(): (() => void) | undefined {
    return this.inner.onDrain;
  }

  set onDrain(listener: (() => void) | undefined) {
    this.inner.onDrain = listener;
  }

  get onClientClosed(): (() => void) | undefined {
    return this.inner.onClientClosed;
  }

  set onClientClosed(listener: (() => void) | undefined) {
    this.inner.onClientClosed = listener;
  }

  /** The request was accepted, or is still waiting; null: it is with an agent. */
  onPlace(place: Expectation | null, left: Record<string, string> = {}): void {
    if (this.phase === 'idle') {
      this.phase = 'open';
      this.inner.head(200, { ...headers, ...left });
      this.say(place === null ? ': accepted\n\n' : placeLine(place));
    } else if (this.phase === 'open' && place !== null) this.say(placeLine(place));
  }

  head(status: number, answered: Record<string, string>): void {
    if (this.phase === 'idle') {
      this.phase = 'plain';
      return this.inner.head(status, answered);
    }
    if (this.phase !== 'open') return;
    const { 'x-xim-agent': agent = 'none', 'x-xim-isolation': isolation = 'none' } = answered;
    const left = Object.entries(answered).filter(([name]) => isLeft(name));
    const pairs = left.map(([name, value]) => ` ${name}=${value}`).join('');
    this.say(`: serving agent=${agent} isolation=${isolation}${pairs}\n\n`);
    const streams = (answered['content-type'] ?? '').startsWith('text/event-stream');
    this.phase = status === 200 && streams ? 'passing' : 'holding';
  }

  write(chunk: Buffer): boolean {
    if (this.phase !== 'holding') return this.inner.write(chunk);
    this.heldBytes += chunk.length;
    if (this.heldBytes <= largestHeldError) this.held.push(chunk);
    return true;
  }

  end(): void {
    if (this.phase === 'holding') this.say(`data: ${this.heldText()}\n\n${doneEvent}`);
    this.phase = 'over';
    this.inner.end();
  }

  destroy(): void {
    this.phase = 'over';
    this.inner.destroy();
  }

  /** P1. False: the stream never opened, and the refusal has its status. */
  refuse(refusal: Refusal | null): boolean {
    if (this.phase !== 'open') return false;
    this.phase = 'over';
    if (refusal !== null) {
      const { name, message, param = null, extra, retryAfterMs } = refusal;
      const retry = retryAfterMs === undefined ? {} : { retry_after: retrySeconds(retryAfterMs) };
      const envelope = errorEnvelope(name, message, { param, extra: { ...extra, ...retry } });
      this.say(`data: ${JSON.stringify(envelope)}\n\n${doneEvent}`);
    }
    this.inner.end();
    return true;
  }

  private say(text: string): void {
    this.inner.write(Buffer.from(text));
  }

  /** What an engine said in one piece, on one line: mostly an error in the envelope. */
  private heldText(): string {
    const text = Buffer.concat(this.held).toString('utf8');
    try {
      if (this.heldBytes <= largestHeldError) return JSON.stringify(JSON.parse(text));
    } catch {
      // Not JSON: what follows says so.
    }
    const message = 'The engine gave an answer that is no stream.';
    return JSON.stringify(errorEnvelope('upstream_error', message, { param: null }));
  }
}

/** What is left of limits and budgets. Whoever waited hears of it when somebody serves. */
const isLeft = (name: string): boolean =>
  name.startsWith('x-ratelimit-') || name === 'x-xim-budget-used';

function placeLine({ position, etaMs }: Expectation): string {
  const eta = etaMs === null ? '' : ` eta=${Math.max(1, Math.ceil(etaMs / 1000))}s`;
  return `: queued position=${position}${eta}\n\n`;
}
