/**
 * What is going on on each connection: which answers it still waits for, so that a request that
 * cannot be parsed is answered only where that cannot cut into another answer.
 *
 * Invariant N1: at most `pipelinedRequests` of one connection are unanswered; one more closes it.
 */
import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

export interface Connections {
  /** A request began. `refuse`: the connection has too many (N1). `cut`: it was told already. */
  began(socket: Duplex, response: ServerResponse): 'serve' | 'refuse' | 'cut';
  /** Whether bytes written to the socket now would be read as an answer of their own. */
  mayAnswer(socket: Duplex): boolean;
  /** True once per connection: a broken one is answered once. */
  broke(socket: Duplex): boolean;
}

export function createConnections(maxPipelined: number): Connections {
  // A list and no set: see `lib/memory/steadyMap.ts`.
  const waiting = new WeakMap<Duplex, ServerResponse[]>();
  const broken = new WeakSet<Duplex>();
  return {
    began(socket, response) {
      const responses = waiting.get(socket) ?? [];
      if (responses.length === 0) waiting.set(socket, responses);
      responses.push(response);
      response.once('close', () => responses.splice(responses.indexOf(response), 1));
      if (responses.length <= maxPipelined) return 'serve';
      return responses.length === maxPipelined + 1 ? 'refuse' : 'cut';
    },
    mayAnswer(socket) {
      const responses = waiting.get(socket) ?? [];
      const [only] = responses;
      return only === undefined || (responses.length === 1 && !only.headersSent);
    },
    broke(socket) {
      if (broken.has(socket)) return false;
      broken.add(socket);
      return true;
    },
  };
}
