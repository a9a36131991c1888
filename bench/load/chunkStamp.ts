/**
 * The text of a streamed chunk in a bench: its number in the stream and the moment at which the
 * engine wrote it. It passes every relay as content, so that the reader knows how long the chunk
 * was under way and whether one was lost, doubled or moved.
 *
 * Both ends run on one machine: `process.hrtime` is CLOCK_MONOTONIC, which all processes share.
 */

const sequenceDigits = 6;
/** Microseconds since boot: enough for 31 years. */
const timeDigits = 15;
/** As the content begins in JSON; it stands nowhere else in an event. */
export const stampMarker = Buffer.from(':"@');
/** From the marker's first byte to the stamp's last. */
export const stampBytes = stampMarker.length + sequenceDigits + 1 + timeDigits;

const timeAt = stampMarker.length + sequenceDigits + 1;
const zero = 0x30;

/** Microseconds of the machine's monotonic clock. */
export function nowUs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e6 + Math.floor(nanoseconds / 1000);
}

/** The content of one chunk. */
export function chunkStamp(sequence: number, writtenUs: number): string {
  const number = String(sequence).padStart(sequenceDigits, '0');
  return `@${number}:${String(writtenUs).padStart(timeDigits, '0')}`;
}

/** The number of a chunk whose marker begins at `at`. */
export function stampSequence(bytes: Buffer, at: number): number {
  return digits(bytes, at + stampMarker.length, sequenceDigits);
}

/** When the engine wrote it. */
export function stampTimeUs(bytes: Buffer, at: number): number {
  return digits(bytes, at + timeAt, timeDigits);
}

function digits(bytes: Buffer, from: number, count: number): number {
  let value = 0;
  for (let at = from; at < from + count; at += 1) value = value * 10 + (bytes[at] as number) - zero;
  return value;
}
