/**
 * An OpenAI-compatible engine that makes up its answers: a real HTTP server with faults to order.
 * In a test: `startFakeEngine()`. As a process:
 * `node src/testing/engines/fakeEngine.ts --port 0 --chunks 50 --tick-ms 40`, which prints one line
 * of JSON (`url`, `pid`) and ends with SIGTERM or when its standard input closes.
 *
 * It answers `Repeat exactly: …` with that text, in pieces of `units`, and goes on from an open
 * turn at the end (`continues`): then it knows of the answer before nothing but what that turn
 * holds, without white space at its end, as chat templates have it.
 *
 * What an answer is like is set for the engine (`set`, or `POST /fake/behaviour`), and for one
 * request by its last message: `fake:{"chunks":3,"fault":"die","after":1}`. `GET /fake/stats`
 * counts.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { fakeAnswer, fakeChunks, fakeMetrics, type FakeDialect } from './fakeEngineAnswers.ts';
import { repeatedTexts } from './repeatedText.ts';

export interface FakeBehaviour {
  /** Chunks of text; each is `w0 `, `w1 `, … */
  chunks: number;
  /** Between two chunks. 0: as fast as the reader takes them. */
  tickMs: number;
  /** Before the first byte. */
  firstByteMs: number;
  /** Streams of one tick each at their own moment, or all of them at the same. */
  phase: 'random' | 'lockstep';
  /** Appended to each chunk's text. */
  padding: string;
  /** UTF-16 units of a chunk of an answer that repeats a text. */
  units: number;
  fault:
    | 'none'
    /** Answers `status` with `body`. */
    | 'status'
    /** Cuts the connection before the first byte, or after `after` chunks. */
    | 'die'
    /** Says nothing more: before the first byte, or after `after` chunks. */
    | 'stall'
    /** An event that is no JSON. */
    | 'malformed'
    /** An error inside the stream: `body` as event. */
    | 'error_event'
    /** Ends the response cleanly, without a reason and without [DONE]. */
    | 'truncate';
  /** Chunks before the fault; −1: before the first byte. */
  after: number;
  status: number;
  body: unknown;
  /** Requests that the engine's own fault still meets. */
  times: number;
}

export interface FakeEngineOptions extends Partial<FakeBehaviour> {
  port?: number;
  socketPath?: string;
  models?: readonly string[];
  dialect?: FakeDialect;
  slots?: number;
  apiKey?: string;
  /** Goes on from an assistant's turn at the end that is to be continued. */
  continues?: boolean;
  /** Answers an agent that wants to know how fast it is, one chunk in so many ms. */
  timedMs?: number;
  /** Cuts so many of the calls by which an agent finds out what it can, behind `after` others. */
  cutProbes?: { times: number; after?: number };
}

export interface FakeEngineStats {
  /** Requests for answers; probes of an agent are counted apart. */
  started: number;
  completed: number;
  /** The client went away before the end. */
  aborted: number;
  active: number;
  mostActive: number;
  probes: number;
  chunksWritten: number;
  /** Streams that wait because their socket is full. */
  blocked: number;
}

export interface FakeEngine {
  url: string;
  stats(): FakeEngineStats;
  /** Bodies of the last requests for answers, newest last, at most 100. */
  bodies: Record<string, unknown>[];
  /** `traceparent` of the last request for an answer. */
  traceparent: string | undefined;
  set(behaviour: Partial<FakeBehaviour>): void;
  /** Models that `/v1/models` lists from now on. */
  setModels(models: readonly string[]): void;
  /** Cuts every connection and listens no more. Idempotent. */
  close(): Promise<void>;
}

const defaults: FakeBehaviour = {
  chunks: 5,
  tickMs: 0,
  firstByteMs: 0,
  phase: 'random',
  padding: '',
  units: 2,
  fault: 'none',
  after: -1,
  status: 500,
  body: { error: { message: 'made up', type: 'server_error', code: 500 } },
  times: Infinity,
};

const maxBodies = 100;
const probeAgent = 'xim-agent-probe';

/** Starts one on loopback (or a unix socket). */
export async function startFakeEngine(options: FakeEngineOptions = {}): Promise<FakeEngine> {
  const engine = new Engine(options);
  return engine.listen();
}

class Engine implements FakeEngine {
  url = '';
  readonly bodies: Record<string, unknown>[] = [];
  traceparent: string | undefined;
  private readonly options: FakeEngineOptions;
  private readonly server: Server;
  private models: readonly string[];
  private readonly cutProbes: { times: number; after: number };
  private behaviour: FakeBehaviour;
  /** Streams that share one tick (`lockstep`). */
  private readonly inStep = new Set<() => void>();
  private step: NodeJS.Timeout | undefined;
  private readonly counts: FakeEngineStats = {
    started: 0,
    completed: 0,
    aborted: 0,
    active: 0,
    mostActive: 0,
    probes: 0,
    chunksWritten: 0,
    blocked: 0,
  };

  constructor(options: FakeEngineOptions) {
    this.options = options;
    this.models = options.models ?? ['fake-model'];
    this.cutProbes = { times: 0, after: 0, ...options.cutProbes };
    this.behaviour = { ...defaults, ...options };
    this.server = createServer({ noDelay: true, keepAliveTimeout: 30_000 }, (request, response) => {
      // Handled: a request whose client is gone ends by its socket's close.
      void this.onRequest(request, response).catch(() => response.destroy());
    });
  }

  async listen(): Promise<FakeEngine> {
    const { socketPath, port = 0 } = this.options;
    if (socketPath === undefined) this.server.listen(port, '127.0.0.1', 4096);
    else this.server.listen(socketPath);
    await once(this.server, 'listening');
    this.url =
      socketPath === undefined
        ? `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
        : `unix:${socketPath}`;
    return this;
  }

  stats(): FakeEngineStats {
    return { ...this.counts };
  }

  set(behaviour: Partial<FakeBehaviour>): void {
    this.behaviour = { ...this.behaviour, ...behaviour };
  }

  setModels(models: readonly string[]): void {
    this.models = models;
  }

  async close(): Promise<void> {
    clearInterval(this.step);
    if (!this.server.listening) return;
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, 'close');
  }

  private async onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readJson(request);
    const isProbe = request.headers['user-agent'] === probeAgent;
    if (isProbe && request.method === 'POST' && this.cutsProbe()) return void response.destroy();
    const key = this.options.apiKey;
    if (key !== undefined && request.headers.authorization !== `Bearer ${key}`) {
      return sendJson(response, 401, { error: { message: 'wrong key', type: 'x', code: 401 } });
    }
    if (request.url === '/v1/chat/completions') {
      if (isProbe) return this.onProbe(body, response);
      this.traceparent = request.headers['traceparent']?.toString();
      return this.onChat(body, response);
    }
    if (request.url === '/fake/behaviour') {
      this.set(body);
      return sendJson(response, 200, {});
    }
    if (request.url === '/metrics') return this.onMetrics(response);
    const known = this.information(request.url ?? '');
    if (known === undefined) return sendJson(response, 404, { detail: 'Not Found' });
    sendJson(response, 200, known);
  }

  private cutsProbe(): boolean {
    const { cutProbes } = this;
    cutProbes.after -= 1;
    if (cutProbes.after >= 0 || cutProbes.times <= 0) return false;
    cutProbes.times -= 1;
    return true;
  }

  private onMetrics(response: ServerResponse): void {
    const { dialect = 'vllm' } = this.options;
    const text = fakeMetrics(dialect, { model: this.models[0] ?? '', ...this.counts });
    if (text === undefined) return sendJson(response, 404, { detail: 'Not Found' });
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(text);
  }

  private information(path: string): unknown {
    const dialect = this.options.dialect ?? 'vllm';
    switch (path) {
      case '/health':
        return { status: 'ok' };
      case '/fake/stats':
        return this.counts;
      case '/v1/models': {
        const owner = { vllm: 'vllm', llama: 'llamacpp', ollama: 'library' }[dialect];
        return { object: 'list', data: this.models.map((id) => modelEntry(id, owner)) };
      }
      case '/version':
        return dialect === 'vllm' ? { version: '0.11.0' } : undefined;
      case '/props':
        return dialect === 'llama'
          ? { total_slots: this.options.slots ?? 4, build_info: 'b7000-fake' }
          : undefined;
      case '/api/version':
        return dialect === 'ollama' ? { version: '0.12.0' } : undefined;
      default:
        return undefined;
    }
  }

  /** Nothing but the route itself and log probabilities is claimed. */
  private onProbe(body: Record<string, unknown>, response: ServerResponse): void {
    this.counts.probes += 1;
    const { continues = false } = this.options;
    const repeated = continues ? repeatedTexts(body, { units: 100 }) : undefined;
    if (repeated !== undefined) {
      const answer = { dialect: 'vllm', model: 'probe', chunks: 1, padding: '' } as const;
      return sendJson(response, 200, fakeAnswer({ ...answer, ...repeated }));
    }
    const { timedMs } = this.options;
    if (timedMs !== undefined && body['stream'] === true) {
      const chunks = fakeChunks({ dialect: 'vllm', model: 'probe', chunks: 8, padding: '' });
      return void this.stream(chunks, { ...defaults, tickMs: timedMs }, response);
    }
    const plain = ['model', 'messages', 'temperature', 'max_tokens'];
    const extra = Object.keys(body).filter((name) => !plain.includes(name));
    const messages = body['messages'] as { content?: unknown }[] | undefined;
    if (typeof messages?.[0]?.content !== 'string' || extra.length > 0) {
      return sendJson(response, 400, { error: { message: 'not here', type: 'x', code: 400 } });
    }
    sendJson(
      response,
      200,
      fakeAnswer({ dialect: 'vllm', model: 'probe', chunks: 1, padding: '' }),
    );
  }

  private ownBehaviour(): FakeBehaviour {
    const { fault, times } = this.behaviour;
    if (fault === 'none') return this.behaviour;
    this.behaviour =
      times > 1 ? { ...this.behaviour, times: times - 1 } : { ...this.behaviour, fault: 'none' };
    return { ...this.behaviour, fault };
  }

  private async onChat(body: Record<string, unknown>, response: ServerResponse): Promise<void> {
    const behaviour = { ...this.ownBehaviour(), ...orderIn(body) };
    this.bodies.push(body);
    if (this.bodies.length > maxBodies) this.bodies.shift();
    this.counts.started += 1;
    this.counts.active += 1;
    this.counts.mostActive = Math.max(this.counts.mostActive, this.counts.active);
    response.once('close', () => {
      this.counts.active -= 1;
      if (response.writableFinished) this.counts.completed += 1;
      else this.counts.aborted += 1;
    });
    if (behaviour.firstByteMs > 0) await wait(behaviour.firstByteMs, response);
    const { fault, after } = behaviour;
    if (fault === 'status') return sendJson(response, behaviour.status, behaviour.body);
    if (fault === 'die' && after < 0) return void response.destroy();
    if (fault === 'stall' && after < 0) return;
    const dialect = this.options.dialect ?? 'vllm';
    const { chunks, padding } = behaviour;
    const { continues = false } = this.options;
    const asked = continues ? body : { ...body, continue_final_message: false };
    const repeated = repeatedTexts(asked, behaviour) ?? { chunks };
    const answer = { dialect, model: String(body['model']), padding, ...repeated };
    if (body['stream'] === true) return this.stream(fakeChunks(answer), behaviour, response);
    if (behaviour.tickMs > 0) await wait(behaviour.tickMs * answer.chunks, response);
    sendJson(response, 200, fakeAnswer(answer));
  }

  private async stream(
    chunks: readonly Buffer[],
    behaviour: FakeBehaviour,
    response: ServerResponse,
  ): Promise<void> {
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    const { fault, tickMs } = behaviour;
    const faultAt = fault === 'none' ? Infinity : Math.max(0, behaviour.after);
    let next = 0;
    /** Writes one chunk; false when the stream is over. */
    const write = (): boolean => {
      if (response.destroyed) return false;
      if (next === faultAt) return this.breakOff(behaviour, response);
      const chunk = chunks[next];
      if (chunk === undefined) {
        response.end();
        return false;
      }
      next += 1;
      this.counts.chunksWritten += 1;
      response.write(chunk);
      return true;
    };
    if (tickMs > 0) return this.tick(write, behaviour, response);
    while (write()) {
      if (!response.writableNeedDrain) continue;
      this.counts.blocked += 1;
      await drained(response);
      this.counts.blocked -= 1;
    }
  }

  /** One chunk a tick. What a slow reader leaves waits in the socket's buffer. */
  private tick(write: () => boolean, behaviour: FakeBehaviour, response: ServerResponse): void {
    const { tickMs, phase } = behaviour;
    if (phase === 'lockstep') {
      const turn = (): void => {
        if (!write()) this.inStep.delete(turn);
      };
      this.inStep.add(turn);
      this.step ??= setInterval(() => {
        for (const each of this.inStep) each();
      }, tickMs);
      return;
    }
    let timer: NodeJS.Timeout;
    const begin = setTimeout(() => {
      if (!write()) return;
      timer = setInterval(() => {
        if (!write()) clearInterval(timer);
      }, tickMs);
    }, Math.random() * tickMs);
    response.once('close', () => {
      clearTimeout(begin);
      clearInterval(timer);
    });
  }

  private breakOff({ fault, body }: FakeBehaviour, response: ServerResponse): false {
    // A moment later, so that what was written has left.
    if (fault === 'die') setTimeout(() => response.destroy(), 10);
    else if (fault === 'malformed') response.end('data: {"choices": [\n\n');
    else if (fault === 'error_event') response.end(`data: ${JSON.stringify(body)}\n\n`);
    else if (fault === 'truncate') response.end();
    return false;
  }
}

/** What the last message orders: `fake:{…}`. */
function orderIn(body: Record<string, unknown>): Partial<FakeBehaviour> {
  const messages = body['messages'] as { content?: unknown }[] | undefined;
  const content = messages?.at(-1)?.content;
  if (typeof content !== 'string' || !content.startsWith('fake:')) return {};
  return JSON.parse(content.slice('fake:'.length)) as Partial<FakeBehaviour>;
}

function modelEntry(id: string, owner: string): Record<string, unknown> {
  const length = owner === 'vllm' ? { max_model_len: 4096 } : {};
  return { id, object: 'model', created: 1_700_000_000, owned_by: owner, ...length };
}

async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString('utf8');
  return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const bytes = Buffer.from(JSON.stringify(value));
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': bytes.length,
  });
  response.end(bytes);
}

/** Until the reader has taken what was written, or has gone. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });
}

/** Waits, or until the client has gone. */
function wait(ms: number, response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    response.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

async function main(): Promise<void> {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    options: {
      port: text,
      socket: text,
      models: text,
      dialect: text,
      chunks: text,
      'tick-ms': text,
      'first-byte-ms': text,
      phase: text,
      padding: text,
      slots: text,
      'api-key': text,
      continues: { type: 'boolean' },
      units: text,
    },
  });
  const given = {
    port: Number(values.port ?? 0),
    socketPath: values.socket,
    models: values.models?.split(','),
    dialect: values.dialect as FakeDialect | undefined,
    chunks: Number(values.chunks ?? defaults.chunks),
    tickMs: Number(values['tick-ms'] ?? defaults.tickMs),
    firstByteMs: Number(values['first-byte-ms'] ?? defaults.firstByteMs),
    phase: (values.phase ?? defaults.phase) as FakeBehaviour['phase'],
    padding: values.padding ?? defaults.padding,
    slots: values.slots === undefined ? undefined : Number(values.slots),
    apiKey: values['api-key'],
    continues: values.continues,
    units: Number(values.units ?? defaults.units),
  };
  const known = Object.entries(given).filter(([, value]) => value !== undefined);
  const engine = await startFakeEngine(Object.fromEntries(known) as FakeEngineOptions);
  console.log(JSON.stringify({ url: engine.url, pid: process.pid }));
  process.stdin.on('end', () => process.exit(0)).resume();
  process.on('SIGTERM', () => process.exit(0));
}

if (import.meta.main === true) await main();
