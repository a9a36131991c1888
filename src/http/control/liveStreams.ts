/**
 * Answers that go on: server-sent events, made one piece at a time.
 *
 * Invariants
 * V1 A client that does not read costs one pending piece: the next is made when it takes more.
 * V2 At most `liveClients` are open at once; each ends with the server, or when its client goes.
 */
import type { HttpLimits } from '../limits.ts';
import { refuse, type ControlContext } from './controlContext.ts';

/** Makes the pieces of one answer until the signal aborts or there is nothing more to say. */
export type MakePieces = (signal: AbortSignal) => AsyncGenerator<Uint8Array, void, undefined>;

export class LiveStreams {
  private readonly limits: Pick<HttpLimits, 'liveClients'>;
  private readonly stopped: AbortSignal;
  private open = 0;

  constructor(options: { limits: Pick<HttpLimits, 'liveClients'>; stopped: AbortSignal }) {
    this.limits = options.limits;
    this.stopped = options.stopped;
  }

  /** The answer to a client that may watch. */
  answer(context: ControlContext, make: MakePieces): Response {
    const { liveClients } = this.limits;
    if (this.open >= liveClients) {
      const message = `At most ${liveClients} clients may watch at once.`;
      return refuse(context, 'concurrency_exceeded', message, { retryAfterMs: 10_000 });
    }
    const ended = new AbortController();
    const signal = AbortSignal.any([this.stopped, ended.signal, context.req.raw.signal]);
    this.open += 1;
    let counted = true;
    const leave = (): void => {
      ended.abort();
      if (counted) this.open -= 1;
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
}
