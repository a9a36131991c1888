/** One client of the bench: a request of a trace over a real socket, and when its answer came. */
import http from 'node:http';
import type { Clock } from '../../src/lib/clock.ts';
import { blockTokens } from '../../src/sim/limits.ts';
import type { TraceRequest } from '../../src/sim/traces/traceRequest.ts';
import { benchModel, tagOf } from './modelEngine.ts';
import type { Target } from './platform.ts';

const bytesPerToken = 4;
const blockBytes = blockTokens * bytesPerToken;

/** Times in ms of the bench's clock, since it was sent; null: never. */
export interface Answered {
  ttftMs: number | null;
  e2eMs: number | null;
}

/** Never rejects. */
export function ask(
  request: TraceRequest,
  options: { id: number; target: Target; clock: Clock },
): Promise<Answered> {
  const { id, target, clock } = options;
  const { port, path, key, connections: agent } = target;
  const body = bodyOf(request, id);
  const headers = {
    authorization: `Bearer ${key}`,
    'content-type': 'application/json',
    'content-length': body.length,
  };
  const sentAtMs = clock.monotonic();
  const since = (): number => clock.monotonic() - sentAtMs;
  return new Promise((resolve) => {
    const answered: Answered = { ttftMs: null, e2eMs: null };
    const outgoing = http.request({ method: 'POST', port, path, headers, agent }, (incoming) => {
      const isAnswer = incoming.statusCode === 200;
      let last = '';
      incoming.on('data', (piece: Buffer) => {
        if (isAnswer) answered.ttftMs ??= since();
        last = piece.toString('latin1');
      });
      incoming.on('end', () => {
        if (isAnswer && last.includes('[DONE]')) answered.e2eMs = since();
        resolve(answered);
      });
      incoming.on('error', () => resolve(answered));
    });
    outgoing.on('error', () => resolve(answered));
    outgoing.end(body);
  });
}

/** As many bytes as the trace has tokens, four each; equal blocks are equal text. */
function bodyOf({ inputTokens, blocks }: TraceRequest, id: number): Buffer {
  const own = Math.max(0, Math.ceil(inputTokens / blockTokens) - blocks.length);
  const names = [...blocks.map(String), ...Array.from({ length: own }, (_, n) => `${id}/${n}`)];
  const text = names.map((name) => `${name} `.padEnd(blockBytes, 'lorem ipsum ')).join('');
  const content = text.slice(0, inputTokens * bytesPerToken) + tagOf(id);
  const messages = [{ role: 'user', content }];
  return Buffer.from(JSON.stringify({ messages, model: benchModel, stream: true }));
}
