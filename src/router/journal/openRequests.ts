/**
 * Requests that an earlier process began, and whose end was not found yet. While a file could not
 * be read since the start it may hold their ends: nobody says until then that they were cut off,
 * as the store keeps the first record of a request.
 */
import type { UsageRecord } from '../ports.ts';
import type { Segment } from './segmentLedger.ts';

export interface OpenRequest {
  record: UsageRecord;
  /** Where it stands. */
  segments: Segment[];
}

export class OpenRequests {
  private readonly open = new Map<string, OpenRequest>();
  /** Names of files that could not be read. */
  private readonly unread = new Set<string>();

  get requests(): Iterable<OpenRequest> {
    return this.open.values();
  }

  began(record: UsageRecord, segment: Segment): void {
    const known = this.open.get(record.requestId);
    if (known === undefined) this.open.set(record.requestId, { record, segments: [segment] });
    else known.segments.push(segment);
  }

  /** Whether it was open. */
  ended(requestId: string): boolean {
    return this.open.delete(requestId);
  }

  cannotRead(file: string): void {
    this.unread.add(file);
  }

  /** The file was read, or is gone; what ended there was told before. */
  wasRead(file: string): void {
    this.unread.delete(file);
  }

  /** Those that were cut off; none while that is not sure. */
  takeCutOff(): UsageRecord[] {
    if (this.unread.size > 0) return [];
    const records = [...this.open.values()].map(({ record }) => record);
    this.open.clear();
    return records;
  }
}
