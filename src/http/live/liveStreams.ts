/**
 * Answers that go on: server-sent events, made one piece at a time.
 *
 * Invariants
 * V1 A client that does not read costs one pending piece: the next is made when it takes more.
 * V2 At most `liveClients` are open at once, of which `liveClientsPerOwner` may watch one project,
 *    or the platform's: no project shuts the others out. Each ends with the server, or when its
 *    client goes.
 */
import type { HttpLimits } from '../limits.ts';
import { refuse, type ControlContext } from '../control/controlContext.ts';

/** Makes the pieces of one answer until the signal aborts or there is nothing more to say. */
export type MakePieces = (signal: AbortSignal) => AsyncGenerator<Uint8Array, void, undefined>;

type Limits = Pick<HttpLimits, 'liveClients' | 'liveClientsPerOwner'>;

export class LiveStreams {
  private readonly limits: Limits;
  private readonly stopped: AbortSignal;
  private open = 0;
  private readonly openOf = new Map<string, number>();

  constructor(options: { limits: Limits; stopped: AbortSignal }) {
    this.limits = options.limits;
    this.stopped = options.stopped;
  }

  /** The answer to a client that may watch. `owner`: whose things they are; null: the platform. */
  answer(context: ControlContext, owner: string | null, make: MakePieces): Response {
    const full = this.fullFor(owner ?? platform);
    if (full !== undefined) {
      return refuse(context, 'concurrency_exceeded', full, { retryAfterMs: 10_000 });
    }
    const ended = new AbortController();
    const signal = AbortSignal.any([this.stopped, ended.signal, context.req.raw.signal]);
    this.count(owner ?? platform, 1);
    let counted = true;
    const leave = (): void => {
      ended.abort();
      if (counted) this.count(owner ?? platform, -1);
      counted = false;
    };
    const pieces = make(signal);
    const body = new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          const next = await pieces.next();
          if (next.done === true) {
            leave();
            controller.close();
          } else {
            controller.enqueue(next.value);
          }
        },
        async cancel() {
          leave();
          await pieces.return();
        },
      },
      // V1: nothing is made ahead.
      { highWaterMark: 0 },
    );
    return new Response(body, {
      headers: {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-cache, no-transform',
        'x-accel-buffering': 'no',
      },
    });
  }

  /** V2 */
  private fullFor(owner: string): string | undefined {
    const { liveClients, liveClientsPerOwner } = this.limits;
    if (this.open >= liveClients) return `At most ${liveClients} clients may watch at once.`;
    if ((this.openOf.get(owner) ?? 0) < liveClientsPerOwner) return undefined;
    return `At most ${liveClientsPerOwner} clients may watch one project at once.`;
  }

  private count(owner: string, more: 1 | -1): void {
    this.open += more;
    const open = (this.openOf.get(owner) ?? 0) + more;
    if (open === 0) this.openOf.delete(owner);
    else this.openOf.set(owner, open);
  }
}

const platform = 'platform';
