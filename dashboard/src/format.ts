/**
 * Numbers, spans and times as the dashboard writes them: no-break space before the unit, three
 * significant digits, `–` for what is unknown. Pure: the present is always given.
 */

const nbsp = '\u00a0';
export const unknown = '–';

const grouped = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 0 });
const two = (value: number): string => String(value).padStart(2, '0');
const months = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

/** `1,012`; `–` for null. */
export function count(value: number | null): string {
  return value === null ? unknown : grouped.format(value);
}

/** Three significant digits without exponent. */
function significant(value: number): string {
  if (value >= 100) return grouped.format(Math.round(value));
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** A span in ms: `58 ms`, from 1,000 ms `1.42 s`, from 100 s `4 min`. */
export function duration(ms: number | null): string {
  if (ms === null) return unknown;
  if (ms < 1000) return `${Math.round(ms)}${nbsp}ms`;
  if (ms < 100_000) return `${significant(ms / 1000)}${nbsp}s`;
  return age(ms);
}

/** How long ago, from ms: `0 s`, `51 s`, `4 min`, `3 h 20 min`, `14 d 3 h`. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds}${nbsp}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}${nbsp}min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours}${nbsp}h${nbsp}${minutes % 60}${nbsp}min`;
  return `${Math.floor(hours / 24)}${nbsp}d${nbsp}${hours % 24}${nbsp}h`;
}

/** Decimal sizes: `98.4 MB`. */
export function size(bytes: number | null): string {
  if (bytes === null) return unknown;
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : significant(value)}${nbsp}${units[unit]}`;
}

/** `14:31:46` today, `9 Oct 16:02` this year, `9 Oct 2025` before; local zone. */
export function moment(at: Date, now: Date): string {
  const sameYear = at.getFullYear() === now.getFullYear();
  const day = `${at.getDate()} ${months[at.getMonth()]}`;
  if (!sameYear) return `${day} ${at.getFullYear()}`;
  const time = `${two(at.getHours())}:${two(at.getMinutes())}`;
  const sameDay = at.getMonth() === now.getMonth() && at.getDate() === now.getDate();
  return sameDay ? `${time}:${two(at.getSeconds())}` : `${day} ${time}`;
}

/** Time left as `14:32`; never below `0:00`. */
export function countdown(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  return `${Math.floor(seconds / 60)}:${two(seconds % 60)}`;
}

/** Share in per cent: one decimal, two above 99, `–` for nothing measured. */
export function share(part: number, whole: number): string {
  if (whole === 0) return unknown;
  const percent = (100 * part) / whole;
  return `${percent.toFixed(percent > 99 && percent < 100 ? 2 : 1)}${nbsp}%`;
}

/** An id cut in its middle: `req_gdz5…1se5r`; the whole stands in the tooltip. */
export function shortId(id: string): string {
  return id.length <= 16 ? id : `${id.slice(0, 8)}…${id.slice(-5)}`;
}
