/**
 * An engine in the bench's own process, so that a client's leaving and its arrival here are told by
 * one clock. It closes at once, and says when it saw a request and when that was taken back.
 *
 * What it does with a request is ordered by the request's last message: `answer`, `hold` (says
 * nothing) or `stream` (begins and goes on until it is cut), then a name.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Order = 'answer' | 'hold' | 'stream';

export interface SeenRequest {
  atMs: number;
  /** Resolves with the time at which its connection was closed. */
  closedAtMs: Promise<number>;
}

const head = { id: 'chatcmpl-cancel', created: 1_700_000_000, model: 'cancel' };

function event(delta: object): string {
  const choices = [{ index: 0, delta, logprobs: null, finish_reason: null }];
  return `data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', choices })}\n\n`;
}

const firstEvent = event({ role: 'assistant', content: '' });
const nextEvent = event({ content: 'as it were ' });
const message = { role: 'assistant', content: 'done' };
const answer = JSON.stringify({
  ...head,
  object: 'chat.completion',
  choices: [{ index: 0, message, logprobs: null, finish_reason: 'stop' }],
  usage: { prompt_tokens: 3, completion_tokens: 1, total_tokens: 4 },
});

export class WatchedEngine {
  private readonly model: string;
  private readonly tickMs: number;
  private readonly server = createServer((request, response) => void this.on(request, response));
  private readonly seen = new Map<string, SeenRequest>();
  private readonly awaited = new Map<string, (seen: SeenRequest) => void>();

  /** `tickMs`: between two chunks of a stream. */
  constructor(options: { model: string; tickMs: number }) {
    this.model = options.model;
    this.tickMs = options.tickMs;
  }

  async listen(): Promise<number> {
    this.server.listen(0, '127.0.0.1', 4096);
    await once(this.server, 'listening');
    return (this.server.address() as AddressInfo).port;
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  has(name: string): boolean {
    return this.seen.has(name);
  }

  /** Resolves when the request with this name has come. */
  arrival(name: string): Promise<SeenRequest> {
    const seen = this.seen.get(name);
    if (seen !== undefined) return Promise.resolve(seen);
    return new Promise((resolve) => this.awaited.set(name, resolve));
  }

  private async on(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const atMs = performance.now();
    if (request.url === '/health') return sendJson(response, 200, '{}');
    if (request.url === '/v1/models') return sendJson(response, 200, this.models());
    if (request.url !== '/v1/chat/completions') return sendJson(response, 404, '{}');
    if (request.headers['user-agent'] === 'xim-agent-probe') return sendJson(response, 400, '{}');
    const closedAtMs = new Promise<number>((resolve) => {
      response.once('close', () => resolve(performance.now()));
    });
    let text = '';
    for await (const piece of request as AsyncIterable<Buffer>) text += piece.toString('utf8');
    const { messages } = JSON.parse(text) as { messages: { content: string }[] };
    const [order = '', name = ''] = (messages.at(-1)?.content ?? '').split(' ');
    this.note(name, { atMs, closedAtMs });
    if (order === 'answer') sendJson(response, 200, answer);
    else if (order === 'stream') this.stream(response);
  }

  private note(name: string, seen: SeenRequest): void {
    this.seen.set(name, seen);
    this.awaited.get(name)?.(seen);
    this.awaited.delete(name);
  }

  private stream(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(firstEvent);
    let timer: NodeJS.Timeout | undefined;
    // At a phase of its own.
    const begin = setTimeout(() => {
      timer = setInterval(() => response.write(nextEvent), this.tickMs);
    }, Math.random() * this.tickMs);
    response.once('close', () => {
      clearTimeout(begin);
      clearInterval(timer);
    });
  }

  private models(): string {
    const one = { id: this.model, object: 'model', created: 1, owned_by: 'cancel' };
    return JSON.stringify({ object: 'list', data: [one] });
  }
}

function sendJson(response: ServerResponse, status: number, body: string): void {
  const length = Buffer.byteLength(body);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': length });
  response.end(body);
}
