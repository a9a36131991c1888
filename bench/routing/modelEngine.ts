/**
 * An OpenAI-compatible server before the simulator's model of an engine, which it keeps in real
 * time: batches, memory and prefix cache are the model's, bytes and connections are real. A request
 * is found by the tag at the end of its body; nobody else looks there. A stream says something when
 * its first token comes, every few seconds, and at its end.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock, Timer } from '../../src/lib/clock.ts';
import { Engine } from '../../src/sim/engine/engine.ts';
import { kvTokens } from '../../src/sim/limits.ts';
import type { TraceRequest } from '../../src/sim/traces/traceRequest.ts';

export const benchModel = 'Test model';
const probeAgent = 'xim-agent-probe';
const aliveMs = 4_000;
const created = 1_700_000_000;
const tagged = /#(\d+)#/;
const tailBytes = 64;

/** What ends the text of a request, so that its engine knows which one of the trace it is. */
export const tagOf = (id: number): string => `#${id}#`;

interface Running {
  response: ServerResponse;
  request: TraceRequest;
  cachedTokens: number;
}

export class ModelEngine {
  private readonly clock: Clock;
  private readonly requests: readonly TraceRequest[];
  private readonly engine: Engine;
  private readonly running = new Map<number, Running>();
  private readonly server = createServer({ noDelay: true }, (request, response) => {
    // Handled: whose client is gone ends by its socket's close.
    void this.on(request, response).catch(() => response.destroy());
  });
  private timer: Timer | undefined;

  constructor(options: { slowness: number; clock: Clock; requests: readonly TraceRequest[] }) {
    this.clock = options.clock;
    this.requests = options.requests;
    this.engine = new Engine({
      slowness: options.slowness,
      listener: {
        admitted: (id, cachedTokens) => this.admitted(id, cachedTokens),
        firstToken: (id) => this.firstToken(id),
        finished: (id) => this.finished(id),
      },
    });
  }

  /** Gives its address. */
  async listen(): Promise<string> {
    this.server.listen(0, '127.0.0.1', 4096);
    await once(this.server, 'listening');
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.timer?.cancel();
    this.server.close();
    this.server.closeAllConnections();
  }

  private async on(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece);
    const isProbe = request.headers['user-agent'] === probeAgent;
    if (request.method === 'GET' || isProbe) return this.tell(request.url ?? '', response);
    const id = tagIn(Buffer.concat(pieces));
    const asked = this.requests[id];
    if (asked === undefined) return sendJson(response, 400, { error: { message: 'no tag' } });
    this.running.set(id, { response, request: asked, cachedTokens: 0 });
    response.once('close', () => {
      if (this.running.delete(id)) this.engine.cancel(id);
    });
    const { inputTokens, outputTokens, blocks } = asked;
    this.engine.submit({ id, inputTokens, outputTokens, blocks }, this.clock.monotonic());
    this.keepStepping();
  }

  /** As vLLM tells of itself. */
  private tell(url: string, response: ServerResponse): void {
    const blocks = `block_size="16",num_gpu_blocks="${kvTokens / 16}"`;
    const list = [{ id: benchModel, object: 'model', created, owned_by: 'vllm' }];
    if (url === '/health') return sendJson(response, 200, {});
    if (url === '/version') return sendJson(response, 200, { version: '0.11.0' });
    if (url === '/v1/models') return sendJson(response, 200, { object: 'list', data: list });
    if (url === '/metrics') return void response.end(`vllm:cache_config_info{${blocks}} 1.0\n`);
    sendJson(response, url.startsWith('/v1/chat/') ? 400 : 404, { error: { message: 'not here' } });
  }

  /** A timer that comes late makes no step longer: the model's own times count. */
  private keepStepping(): void {
    this.timer?.cancel();
    const { engine, clock } = this;
    while (engine.endsAtMs <= clock.monotonic()) engine.finishStep();
    if (engine.endsAtMs === Infinity) return;
    const inMs = engine.endsAtMs - clock.monotonic();
    this.timer = clock.setTimer(inMs, () => this.keepStepping(), { keepAlive: true });
  }

  private admitted(id: number, cachedTokens: number): void {
    const running = this.running.get(id);
    if (running !== undefined) running.cachedTokens = cachedTokens;
  }

  private firstToken(id: number): void {
    const running = this.running.get(id);
    if (running === undefined) return;
    running.response.writeHead(200, { 'content-type': 'text/event-stream' });
    running.response.write(chunk({ role: 'assistant', content: 'a' }));
    this.stayAlive(id);
  }

  private stayAlive(id: number): void {
    this.clock.setTimer(aliveMs, () => {
      const running = this.running.get(id);
      if (running === undefined) return;
      running.response.write(chunk({ content: ' b' }));
      this.stayAlive(id);
    });
  }

  private finished(id: number): void {
    const running = this.running.get(id);
    if (running === undefined) return;
    this.running.delete(id);
    const { request, response, cachedTokens } = running;
    const usage = {
      prompt_tokens: request.inputTokens,
      completion_tokens: request.outputTokens,
      total_tokens: request.inputTokens + request.outputTokens,
      prompt_tokens_details: { cached_tokens: cachedTokens },
    };
    response.end(`${chunk({}, 'stop')}${event({ choices: [], usage })}data: [DONE]\n\n`);
  }
}

function tagIn(body: Buffer): number {
  const at = body.lastIndexOf('#');
  const found = tagged.exec(body.toString('latin1', Math.max(0, at - tailBytes), at + 1));
  return Number(found?.[1] ?? -1);
}

function event(members: object): string {
  const head = {
    id: 'chatcmpl-bench',
    object: 'chat.completion.chunk',
    created,
    model: benchModel,
  };
  return `data: ${JSON.stringify({ ...head, ...members })}\n\n`;
}

function chunk(delta: object, reason: string | null = null): string {
  return event({ choices: [{ index: 0, delta, logprobs: null, finish_reason: reason }] });
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
