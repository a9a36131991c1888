/**
 * END trailers that the router has not acknowledged: sent again on the next link, because a link
 * can die between the last byte and the router's journal.
 */
import type { EndMessage } from '../../protocol/messages/end.ts';
import { maxKeptTrailers, trailersPerMessage } from '../limits.ts';

export class TrailerStore {
  /** By request, oldest first. */
  private readonly kept = new Map<string, EndMessage>();

  /** Keeps one; beyond the bound the oldest is given up. */
  keep(end: EndMessage): void {
    this.kept.delete(end.requestId);
    this.kept.set(end.requestId, end);
    const oldest = this.kept.keys().next();
    if (this.kept.size > maxKeptTrailers && oldest.done !== true) this.kept.delete(oldest.value);
  }

  acknowledge(requestIds: readonly string[]): void {
    for (const requestId of requestIds) this.kept.delete(requestId);
  }

  get size(): number {
    return this.kept.size;
  }

  /** Everything that waits, oldest first, in portions of one message. */
  *portions(): Generator<EndMessage[]> {
    const all = [...this.kept.values()];
    for (let at = 0; at < all.length; at += trailersPerMessage) {
      yield all.slice(at, at + trailersPerMessage);
    }
  }
}
