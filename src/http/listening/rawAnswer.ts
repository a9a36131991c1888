/**
 * The envelope for a connection that has no request to answer: what could not be parsed, came too
 * slowly, or asked for an upgrade that it does not get. Same headers and same table as elsewhere.
 */
import type { Duplex } from 'node:stream';
import { STATUS_CODES } from 'node:http';
import { errorEnvelope, errorTable, type ErrorName } from '../../api/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import { refusalHeaders } from '../exchanges/exchange.ts';
import { lingerMs } from '../limits.ts';

/** Writes the refusal and closes. What still comes in is read and dropped, for a moment. */
export function refuseRaw(
  socket: Duplex,
  refusal: {
    name: ErrorName;
    message: string;
    requestId: string;
    retryAfterMs?: number;
    clock: Clock;
  },
): void {
  const { name, message, requestId, retryAfterMs, clock } = refusal;
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const { status } = errorTable[name];
  const body = JSON.stringify(errorEnvelope(name, message));
  const extra = refusalHeaders(name, retryAfterMs === undefined ? {} : { retryAfterMs });
  const extraLines = extra.flatMap((header, at) =>
    at % 2 === 0 ? [`${header}: ${extra[at + 1]}`] : [],
  );
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${requestId}`,
    'openai-processing-ms: 0',
    'connection: close',
    ...extraLines,
  ].join('\r\n');
  socket.on('error', () => socket.destroy());
  socket.end(`${head}\r\n\r\n${body}`);
  // Closing at once would reset the connection under the answer, where more was sent than was read.
  socket.resume();
  const timer = clock.setTimer(lingerMs, () => socket.destroy());
  socket.once('close', () => timer.cancel());
}
