/**
 * The lines of the journal. A `begin` line carries the whole record that stands for the request if
 * nothing follows: outcome `interrupted`. An `end` line carries the record of what happened; in a
 * file of refused records also why, and which process was told so.
 */
import { journalReadBytes } from '../limits.ts';
import type { UsageRecord } from '../ports.ts';

/** Why the store refused a record, for people; `process` tells one process from another. */
export interface Refusal {
  reason: string;
  process: string;
}

export type JournalLine =
  | { kind: 'begin'; record: UsageRecord }
  | { kind: 'end'; record: UsageRecord; refused?: Refusal };

export interface JournalLines {
  lines: JournalLine[];
  /**
   * Whole lines that say nothing. A last line that does not end is none of them: a crash or a full
   * disk has torn it, and what it said was promised to nobody, or was written anew.
   */
  unreadable: string[];
}

export function beginLine(record: UsageRecord): string {
  return `{"begin":${JSON.stringify(record)}}\n`;
}

export function endLine(record: UsageRecord): string {
  return `{"end":${JSON.stringify(record)}}\n`;
}

export function refusedLine(line: { record: UsageRecord; refused: Refusal }): string {
  return `{"end":${JSON.stringify(line.record)},"refused":${JSON.stringify(line.refused)}}\n`;
}

/** Takes a file apart, some lines a turn: streams go on meanwhile. */
export async function readLines(bytes: Buffer): Promise<JournalLines> {
  const all: JournalLines = { lines: [], unreadable: [] };
  for (let from = 0; from < bytes.length;) {
    const end = bytes.indexOf('\n', from + journalReadBytes);
    const to = end === -1 ? bytes.length : end + 1;
    readPiece(bytes.subarray(from, to), all);
    from = to;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return all;
}

function readPiece(bytes: Buffer, { lines, unreadable }: JournalLines): void {
  const texts = bytes.toString('utf8').split('\n');
  for (const [at, text] of texts.entries()) {
    if (text === '') continue;
    const line = parseLine(text);
    if (line !== undefined) lines.push(line);
    else if (at < texts.length - 1) unreadable.push(text);
  }
}

function parseLine(text: string): JournalLine | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parts = (value ?? {}) as { begin?: unknown; end?: unknown; refused?: unknown };
  const { begin, end, refused } = parts;
  if (isRecord(begin)) return { kind: 'begin', record: completed(begin) };
  if (!isRecord(end)) return undefined;
  return { kind: 'end', record: completed(end), ...(isRefusal(refused) ? { refused } : {}) };
}

/** A journal that an earlier version has left says nothing of prices. */
function completed(record: UsageRecord): UsageRecord {
  return { ...record, shared: record.shared ?? false, costMicros: record.costMicros ?? 0 };
}

function isRefusal(value: unknown): value is Refusal {
  if (value === null || typeof value !== 'object') return false;
  const { reason, process } = value as { reason?: unknown; process?: unknown };
  return typeof reason === 'string' && typeof process === 'string';
}

function isRecord(value: unknown): value is UsageRecord {
  if (value === null || typeof value !== 'object') return false;
  const { requestId, outcome } = value as { requestId?: unknown; outcome?: unknown };
  return typeof requestId === 'string' && typeof outcome === 'string';
}
