/**
 * The lines of the journal. A `begin` line carries the whole record that stands for the request if
 * nothing follows: outcome `interrupted`. An `end` line carries the record of what happened.
 */
import type { UsageRecord } from '../ports.ts';

export type JournalLine =
  | { kind: 'begin'; record: UsageRecord }
  | { kind: 'end'; record: UsageRecord };

export function beginLine(record: UsageRecord): string {
  return `{"begin":${JSON.stringify(record)}}\n`;
}

export function endLine(record: UsageRecord): string {
  return `{"end":${JSON.stringify(record)}}\n`;
}

/**
 * The lines of a segment, and how many could not be read: a crash tears the last line, a full disk
 * one in the middle. What is torn was never promised to anybody.
 */
export function readLines(bytes: Buffer): { lines: JournalLine[]; torn: number } {
  const lines: JournalLine[] = [];
  let torn = 0;
  for (const text of bytes.toString('utf8').split('\n')) {
    if (text === '') continue;
    const line = parseLine(text);
    if (line === undefined) torn += 1;
    else lines.push(line);
  }
  return { lines, torn };
}

function parseLine(text: string): JournalLine | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { begin, end } = (value ?? {}) as { begin?: unknown; end?: unknown };
  if (isRecord(begin)) return { kind: 'begin', record: completed(begin) };
  return isRecord(end) ? { kind: 'end', record: completed(end) } : undefined;
}

/** A journal that an earlier version has left says nothing of prices. */
function completed(record: UsageRecord): UsageRecord {
  return { ...record, shared: record.shared ?? false, costMicros: record.costMicros ?? 0 };
}

function isRecord(value: unknown): value is UsageRecord {
  if (value === null || typeof value !== 'object') return false;
  const { requestId, outcome } = value as { requestId?: unknown; outcome?: unknown };
  return typeof requestId === 'string' && typeof outcome === 'string';
}
