/**
 * Numbers with units, as people write them, and back. Units come last in our names: ms and bytes.
 */

export type Parsed<Value> = { value: Value } | { problem: string };

const durationMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const sizeBytes: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/** `12`; no sign but minus, no fraction, nothing above 2⁵³. */
export function parseWholeNumber(text: string): Parsed<number> {
  const value = /^-?\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? { value } : { problem: 'give a whole number' };
}

/** `500ms`, `30s`, `5m`, `2h`, `7d`, also `1.5h`. The value is in ms, rounded. */
export function parseDuration(text: string): Parsed<number> {
  return (
    withUnit(text, durationMs) ?? { problem: 'give a number with ms, s, m, h or d, such as 30s' }
  );
}

/** `1000`, `64KiB`, `16 MiB`, `2GB` (KB is 1000, KiB is 1024). The value is in bytes, rounded. */
export function parseSize(text: string): Parsed<number> {
  return withUnit(text, sizeBytes) ?? { problem: 'give bytes, or a number with KiB, MiB, GB, …' };
}

function withUnit(
  text: string,
  units: Readonly<Record<string, number>>,
): { value: number } | undefined {
  const [, digits, unit = ''] = /^(\d{1,15}(?:\.\d{1,6})?) ?([a-z]*)$/i.exec(text) ?? [];
  const factor = Object.hasOwn(units, unit.toLowerCase()) ? units[unit.toLowerCase()] : undefined;
  if (digits === undefined || factor === undefined) return undefined;
  const value = Math.round(Number(digits) * factor);
  return Number.isSafeInteger(value) ? { value } : undefined;
}

/** The shortest exact way to write `ms`, e.g. `30s`; it reads back as the same number. */
export function formatDuration(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const factor = durationMs[unit] ?? 1;
    if (ms !== 0 && ms % factor === 0) return `${ms / factor}${unit}`;
  }
  return `${ms}ms`;
}

/** The shortest exact way to write `bytes`, e.g. `16MiB`; it reads back as the same number. */
export function formatSize(bytes: number): string {
  for (const unit of ['TiB', 'GiB', 'MiB', 'KiB', 'GB', 'MB'] as const) {
    const factor = sizeBytes[unit.toLowerCase()] ?? 1;
    if (bytes !== 0 && bytes % factor === 0) return `${bytes / factor}${unit}`;
  }
  return String(bytes);
}

/** For people, three digits or so: `12.3 MB`, `1.25 GB`. */
export function roundedSize(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(2)} GB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
