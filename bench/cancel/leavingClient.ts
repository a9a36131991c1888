/** A client of the bench `cancel`, which leaves by closing its connection. */
import http from 'node:http';
import type { Target } from '../load/messages.ts';
import type { Order } from './watchedEngine.ts';

export interface LeavingClient {
  readonly name: string;
  /** Resolves with the n-th piece of its answer. */
  pieces(count: number): Promise<void>;
  /** Resolves when its answer is whole. Rejects when it was none. */
  readonly whole: Promise<void>;
  /** Closes the connection; gives the time right before. */
  leave(): number;
}

let clients = 0;

/** Sends a request that the engine treats as `order` says. */
export function askEngine(
  target: Target,
  { order, stream }: { order: Order; stream: boolean },
): LeavingClient {
  clients += 1;
  const name = `n${clients}`;
  const { port, path, apiKey } = target;
  const body = JSON.stringify({
    stream,
    messages: [{ role: 'user', content: `${order} ${name}` }],
  });
  const headers = { authorization: `Bearer ${apiKey}`, 'content-length': body.length };
  const options = { host: '127.0.0.1', port, path, method: 'POST', headers, agent: false };
  const outgoing = http.request(options);
  let seen = 0;
  let awaited: { count: number; resolve: () => void } | undefined;
  const whole = new Promise<void>((resolve, reject) => {
    outgoing.on('error', reject);
    outgoing.on('response', (incoming) => {
      incoming.on('data', () => {
        seen += 1;
        if (awaited !== undefined && seen >= awaited.count) awaited.resolve();
      });
      incoming.on('error', reject);
      incoming.on('end', () => {
        if (incoming.statusCode === 200) resolve();
        else reject(new Error(`status ${incoming.statusCode}`));
      });
    });
  });
  // Who leaves does not wait for it.
  whole.catch(() => {});
  outgoing.end(body);
  return {
    name,
    whole,
    pieces: (count) =>
      seen >= count
        ? Promise.resolve()
        : new Promise((resolve) => {
            awaited = { count, resolve };
          }),
    leave() {
      const atMs = performance.now();
      outgoing.destroy();
      return atMs;
    },
  };
}
