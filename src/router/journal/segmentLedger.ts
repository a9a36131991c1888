/**
 * Which segments of the journal are still needed. A request is *settled* when the store has its
 * record; a segment can go when it is closed and every request with a line in it is settled.
 */

export interface Segment {
  name: string;
  bytes: number;
  phase: 'open' | 'closed';
  /** Requests with a line in it whose record the store does not have yet. */
  unsettled: Set<string>;
  /** Holds end lines that memory has no room for: they are read back from here. */
  spilled: boolean;
  /** Written by an earlier process. */
  replayed: boolean;
  /** It could not be read so often in a row, and is not tried before that; monotonic ms. */
  readFailures: number;
  readAgainAtMs: number;
}

export class SegmentLedger {
  private readonly segments = new Map<string, Segment>();
  /** Segments with a line of a request that is not settled. */
  private readonly touched = new Map<string, Segment[]>();

  /** Bytes of all segments. */
  get bytes(): number {
    let sum = 0;
    for (const segment of this.segments.values()) sum += segment.bytes;
    return sum;
  }

  add(segment: Segment): void {
    this.segments.set(segment.name, segment);
  }

  /** The request has begun: its lines count from here on. */
  expect(requestId: string): void {
    if (!this.touched.has(requestId)) this.touched.set(requestId, []);
  }

  /** A line of the request is in the segment. Nothing to do if it is settled already. */
  touch(requestId: string, segment: Segment): void {
    const segments = this.touched.get(requestId);
    if (segments === undefined || segment.unsettled.has(requestId)) return;
    segment.unsettled.add(requestId);
    segments.push(segment);
  }

  /** The store has the request's record. */
  settle(requestId: string): void {
    for (const segment of this.touched.get(requestId) ?? []) segment.unsettled.delete(requestId);
    this.touched.delete(requestId);
  }

  /**
   * A closed segment whose records have to be read back; of those that could not be read only such
   * as are to be tried at `nowMs` (monotonic). Undefined when there is none.
   */
  spilled(nowMs = Infinity): Segment | undefined {
    return [...this.segments.values()].find(
      (one) => one.spilled && one.phase === 'closed' && one.readAgainAtMs <= nowMs,
    );
  }

  /** The segment is gone, with whatever memory does not hold: nothing is waited for any more. */
  lose(segment: Segment): void {
    this.segments.delete(segment.name);
    for (const requestId of segment.unsettled) this.settle(requestId);
  }

  /** Takes out the segments that nobody needs any more. */
  takeNeedless(): Segment[] {
    const needless = [...this.segments.values()].filter(
      (one) => one.phase === 'closed' && !one.spilled && one.unsettled.size === 0,
    );
    for (const segment of needless) this.segments.delete(segment.name);
    return needless;
  }
}
