/** Tables, sizes and times as a terminal shows them. */

/** Columns padded to their widest cell, two spaces between; unknown (null) is shown as a dash. */
export function textTable(
  head: readonly string[],
  rows: readonly (readonly (string | null)[])[],
): string {
  const lines = [head, ...rows.map((row) => row.map((cell) => plainText(cell ?? '–')))];
  const widths = head.map((_, column) =>
    Math.max(...lines.map((line) => (line[column] ?? '').length)),
  );
  return lines
    .map((line) => line.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  '))
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

/** One thing: its fields one below the other; unknown (null) is shown as a dash. */
export function fieldTable(fields: readonly (readonly [string, string | null])[]): string {
  const width = Math.max(...fields.map(([name]) => name.length)) + 2;
  return fields
    .map(([name, value]) => `${name.padEnd(width)}${plainText(value ?? '–')}`.trimEnd())
    .map((line) => `${line}\n`)
    .join('');
}

/** Controls, ends of lines, and what turns the order of the characters behind it around. */
const unruly = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/** What comes from other people: nothing in it may move the cursor or change what stands beside. */
export function plainText(text: string): string {
  return text.replaceAll(unruly, '?');
}

/** `12 s ago`, `3 min ago`, `5 h ago`, `9 d ago`; null stays null. */
export function ago(iso: string | null, nowMs: number): string | null {
  if (iso === null) return null;
  const seconds = Math.max(0, Math.round((nowMs - Date.parse(iso)) / 1000));
  return `${span(seconds)} ago`;
}

/** `in 14 min`, or `over` when it lies in the past. */
export function until(iso: string, nowMs: number): string {
  const seconds = Math.round((Date.parse(iso) - nowMs) / 1000);
  return seconds <= 0 ? 'over' : `in ${span(seconds)}`;
}

function span(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** `1.4 s`, `830 ms`; null stays null. */
export function milliseconds(value: number | null): string | null {
  if (value === null) return null;
  return value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;
}

export const onOff = (value: boolean): string => (value ? 'on' : 'off');

/** `a, b`; a dash for none. */
export const joined = (words: readonly string[]): string | null =>
  words.length === 0 ? null : words.join(', ');

/** `4.7 GB`, `128 MB`, in powers of 1000; null stays null. */
export function sizeText(bytes: number | null): string | null {
  if (bytes === null) return null;
  const units = ['B', 'kB', 'MB', 'GB', 'TB'] as const;
  const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const value = bytes / 1000 ** step;
  return `${Number(value.toFixed(value < 10 ? 1 : 0))} ${units[step]}`;
}

/** `12 345`: groups of three. */
export const countText = (value: number): string =>
  String(value).replaceAll(/\B(?=(\d{3})+$)/g, ' ');

/** A decimal number with two digits behind its point, or as many as it has. */
export function costText(cost: string): string {
  return cost.replace(/(\.\d{2}\d*?)0+$/, '$1');
}
