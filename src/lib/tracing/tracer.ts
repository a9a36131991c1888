/** Begins traces and takes their spans: `Tracing` with a collector at its end. */
import type { Random } from '../random.ts';
import type { Sampler } from './sampler.ts';
import type { Span, Tracing } from './span.ts';
import type { SpanQueue } from './spanQueue.ts';
import { parseTraceparent, type TraceContext } from './traceContext.ts';

const traceIdBytes = 16;
const spanIdBytes = 8;

export class Tracer implements Tracing {
  private readonly random: Random;
  private readonly sampler: Sampler;
  private readonly queue: Pick<SpanQueue, 'offer'>;

  constructor(options: { random: Random; sampler: Sampler; queue: Pick<SpanQueue, 'offer'> }) {
    this.random = options.random;
    this.sampler = options.sampler;
    this.queue = options.queue;
  }

  begin(traceparent: string | string[] | undefined): TraceContext {
    const parent = parseTraceparent(traceparent);
    const drawn = this.random.bytes(traceIdBytes + spanIdBytes);
    const traceId = parent?.traceId ?? drawn.toString('hex', 0, traceIdBytes);
    const spanId = drawn.toString('hex', traceIdBytes);
    const recorded = this.sampler(traceId, parent);
    return { traceId, parentSpanId: parent?.spanId ?? null, spanId, sampled: recorded, recorded };
  }

  record(spans: readonly Span[]): void {
    this.queue.offer(spans);
  }
}
