/** Begins traces and takes their spans: `Tracing` with a collector at its end. */
import type { Random } from '../random.ts';
import type { Sampler } from './sampler.ts';
import type { Span, Tracing } from './span.ts';
import type { SpanQueue } from './spanQueue.ts';
import { parseTraceparent, type TraceContext } from './traceContext.ts';

const traceIdBytes = 16;
const spanIdBytes = 8;
/** Randomness is drawn for many ids at once: asking for a few bytes costs as much (3 µs). */
const drawnBytes = 4080;

export class Tracer implements Tracing {
  private readonly random: Random;
  private readonly sampler: Sampler;
  private readonly queue: Pick<SpanQueue, 'offer'>;
  private drawn: Buffer = Buffer.alloc(0);
  private used = 0;

  constructor(options: { random: Random; sampler: Sampler; queue: Pick<SpanQueue, 'offer'> }) {
    this.random = options.random;
    this.sampler = options.sampler;
    this.queue = options.queue;
  }

  begin(traceparent: string | string[] | undefined): TraceContext {
    const parent = parseTraceparent(traceparent);
    const traceId = parent?.traceId ?? this.hexOf(traceIdBytes);
    const spanId = this.hexOf(spanIdBytes);
    const recorded = this.sampler(traceId, parent);
    return { traceId, parentSpanId: parent?.spanId ?? null, spanId, sampled: recorded, recorded };
  }

  record(spans: readonly Span[]): void {
    this.queue.offer(spans);
  }

  private hexOf(bytes: number): string {
    if (this.used + bytes > this.drawn.length) {
      this.drawn = this.random.bytes(drawnBytes);
      this.used = 0;
    }
    this.used += bytes;
    return this.drawn.toString('hex', this.used - bytes, this.used);
  }
}
