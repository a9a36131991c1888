/**
 * An engine whose chat answers are bytes that the test writes itself: for what no honest server
 * sends. Probes are answered as a vLLM of one model would.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { until } from '../until.ts';

/** Answers one chat request by hand, on its socket. */
export type RawScript = (socket: Socket, body: Record<string, unknown>) => void | Promise<void>;

export interface RawEngine {
  url: string;
  script: RawScript;
  /** Answers of other routes, by path; a missing one is a 404. */
  readonly routes: Map<string, (body: Record<string, unknown>) => unknown>;
  /** Paths that were asked for, oldest first. */
  readonly asked: string[];
  /** Chat requests whose connection is open. */
  active(): number;
  /** Waits until no chat request is open. */
  idle(): Promise<void>;
  close(): Promise<void>;
}

const probeAgent = 'xim-agent-probe';
const eventStreamHead =
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n';

/** The head of a stream whose end is the end of the connection. */
export const rawStreamHead: string = eventStreamHead;

/** A whole answer with its length. */
export function rawAnswer(status: string, type: string, body: string): string {
  const length = Buffer.byteLength(body);
  return `HTTP/1.1 ${status}\r\ncontent-type: ${type}\r\ncontent-length: ${length}\r\n\r\n${body}`;
}

/** A script that sends these bytes and ends the connection. */
export const says =
  (...pieces: (string | Buffer)[]): RawScript =>
  (socket) => {
    for (const piece of pieces) socket.write(piece);
    socket.end();
  };

export async function startRawEngine(owner = 'vllm'): Promise<RawEngine> {
  const open = new Set<Socket>();
  const model = { id: 'fake-model', object: 'model', owned_by: owner, max_model_len: 100 };
  const server = createServer((request, response) => {
    // Handled: a script that fails leaves its request without an answer, which the test sees.
    void answer(request, response);
  });
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await readBody(request);
    const path = request.url ?? '';
    const isProbe = request.headers['user-agent'] === probeAgent;
    engine.asked.push(path);
    if (path === '/v1/chat/completions' && !isProbe) {
      const { socket } = request;
      open.add(socket);
      socket.once('close', () => open.delete(socket));
      socket.on('error', () => socket.destroy());
      return engine.script(socket, body);
    }
    const known = engine.routes.get(path);
    const status = known !== undefined ? 200 : path === '/v1/chat/completions' ? 400 : 404;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(known?.(body) ?? { detail: 'Not Found' }));
  };
  const engine: RawEngine = {
    url: '',
    script: says(),
    routes: new Map<string, () => unknown>([
      ['/health', () => ({})],
      ['/v1/models', () => ({ object: 'list', data: [model] })],
      ['/version', () => ({ version: '0.11.0' })],
    ]),
    asked: [],
    active: () => open.size,
    idle: () => until(() => open.size === 0, { what: 'the end of every connection' }),
    async close() {
      server.close();
      server.closeAllConnections();
      for (const socket of open) socket.destroy();
      await once(server, 'close');
    },
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  engine.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return engine;
}

async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString('utf8');
  return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
}
