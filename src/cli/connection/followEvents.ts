/**
 * Server-sent events of a control route, one after the other, until the stream ends. Taking it up
 * again is the caller's: only they know what came last.
 */
import type { Clock, Timer } from '../../lib/clock.ts';
import { parseSseEvent, SseSplitter, type SseEvent } from '../../lib/text/sse.ts';
import { authHeaders, refusalOf } from './callServer.ts';
import type { ContextAuth } from './contextStore.ts';
import { openRequest, unreachableText, type ServerAddress } from './openRequest.ts';

/** Longest event that is read, in bytes. */
const maxEventBytes = 1024 * 1024;
/** The server says at least every 15 s that it lives. */
const silenceMs = 45_000;

export type FollowEnd =
  /** It had begun, and is over, by whatever it was. */
  | { kind: 'ended' }
  | { kind: 'refused'; status: number; code: string | null; message: string }
  | { kind: 'unreachable'; message: string };

/** Never rejects. */
export function followEvents(
  source: { address: ServerAddress; auth: ContextAuth; path: string; clock: Clock },
  onEvent: (event: SseEvent) => void,
): Promise<FollowEnd> {
  const { address, auth, path, clock } = source;
  const headers = { accept: 'text/event-stream', ...authHeaders(auth, address.server) };
  const request = openRequest(address, { method: 'GET', path, headers });
  let silence: Timer | undefined;
  const heard = (): void => {
    silence?.cancel();
    silence = clock.setTimer(silenceMs, () => request.destroy(new Error('it fell silent')), {
      keepAlive: true,
    });
  };
  heard();
  return new Promise<FollowEnd>((resolve) => {
    request.on('error', (error) =>
      resolve({ kind: 'unreachable', message: unreachableText(error, address.server) }),
    );
    request.on('response', (answer) => {
      const status = answer.statusCode ?? 0;
      const parts: Buffer[] = [];
      const splitter = new SseSplitter({
        maxEventBytes,
        onEvent: (raw) => onEvent(parseSseEvent(raw)),
      });
      answer.on('data', (part: Buffer) => {
        heard();
        if (status !== 200) parts.push(part);
        else if (splitter.push(part) !== 'ok') request.destroy();
      });
      answer.on('error', () => {
        // Its close tells the end.
      });
      answer.on('close', () => {
        if (status === 200) return resolve({ kind: 'ended' });
        const value = jsonOf(Buffer.concat(parts).toString('utf8'));
        resolve({ kind: 'refused', status, ...refusalOf(value, status) });
      });
    });
    request.end();
  }).finally(() => silence?.cancel());
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
