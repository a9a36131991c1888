/** A log as a stream: what is there, then each line as it comes. */
import type { LogEntryAnswer } from '../../api/control/logs.ts';
import { sleep, type Clock } from '../../lib/clock.ts';
import { encodeCursor } from '../../lib/page.ts';
import type { LogBook, LogName, LogPlace } from '../../router/logs/logBook.ts';
import type { LogEntry } from '../../router/logs/logRing.ts';
import { logEntriesPerPiece, logKeepAliveMs } from '../limits.ts';
import { isoTime } from '../control/isoTime.ts';

export interface Following {
  logs: Pick<LogBook, 'read' | 'onLines'>;
  name: LogName;
  after: LogPlace | null;
  /** Entries from before now, where `after` is null. */
  limit: number;
  clock: Clock;
  signal: AbortSignal;
  /** How often that is asked, in ms. */
  recheckMs: number;
  /** Whether the caller may still look, and the log's owner still has one. */
  mayGoOn: () => Promise<boolean>;
}

/**
 * Entries in order; where some are missing, a gap says how many. A client that reads slowly misses
 * what is pushed out meanwhile, and is told the same way.
 */
export async function* followLog(
  following: Following,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { logs, name, clock, signal } = following;
  let news = new AbortController();
  const leave = logs.onLines(name, () => news.abort());
  try {
    let page = logs.read(name, following);
    let checkedAtMs = clock.monotonic();
    // Headers and the first piece leave together: a client learns at once that it is connected.
    yield Buffer.from(': following\n\n');
    for (;;) {
      for (let at = 0; at < page.entries.length; at += logEntriesPerPiece) {
        const piece = page.entries.slice(at, at + logEntriesPerPiece);
        yield Buffer.from(piece.map((entry) => eventOf(entry, page.place.epoch)).join(''));
      }
      if (!page.more && !news.signal.aborted) {
        const woken = AbortSignal.any([news.signal, signal]);
        const slept = await sleep(clock, logKeepAliveMs, woken);
        if (slept === 'elapsed') yield Buffer.from(': nothing new\n\n');
      }
      if (signal.aborted) return;
      if (clock.monotonic() - checkedAtMs >= following.recheckMs) {
        checkedAtMs = clock.monotonic();
        if (!(await following.mayGoOn())) return;
      }
      news = new AbortController();
      page = logs.read(name, { after: page.place, limit: logEntriesPerPiece });
    }
  } finally {
    leave();
  }
}

/** What `after` takes to go on behind an entry. */
export function logCursor({ epoch, seq }: LogPlace): string {
  return encodeCursor([epoch, seq]);
}

export function logEntryAnswer(entry: LogEntry): LogEntryAnswer {
  const received = isoTime(entry.receivedAtMs);
  if (entry.kind === 'gap') return { kind: 'gap', received_at: received, lines: entry.lines };
  const { kind, atMs, level, source, text, requestId } = entry;
  return {
    kind,
    at: isoTime(atMs),
    received_at: received,
    level,
    source,
    text,
    request_id: requestId,
  };
}

function eventOf(entry: LogEntry, epoch: string): string {
  const id = logCursor({ epoch, seq: entry.seq });
  const data = JSON.stringify(logEntryAnswer(entry));
  return `id: ${id}\nevent: ${entry.kind}\ndata: ${data}\n\n`;
}
