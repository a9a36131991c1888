/**
 * Two ends of a link that have shaken hands, over any transport, with records of what each was
 * told. For tests of whatever uses a link.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { systemClock, type Clock } from '../../lib/clock.ts';
import { createMemoryPair } from '../../protocol/memoryTransport.ts';
import { createAgentPeer, createRouterPeer } from '../../protocol/mux.ts';
import type { LinkLimits } from '../../protocol/limits.ts';
import type {
  AgentPeer,
  ClosedBy,
  Confirmation,
  LinkCloseReason,
  LinkStream,
  ResetCode,
  RouterPeer,
  StreamHandlers,
  Transport,
} from '../../protocol/link.ts';
import type { AgentControl, HelloMessage } from '../../protocol/messages/agentControl.ts';
import type { EndMessage } from '../../protocol/messages/end.ts';
import type { HeadMessage } from '../../protocol/messages/head.ts';
import type { OpenMessage } from '../../protocol/messages/open.ts';
import type { RouterControl } from '../../protocol/messages/routerControl.ts';
import {
  createWsTransport,
  linkSubprotocol,
  wsClientOptions,
  wsServerOptions,
} from '../../protocol/wsTransport.ts';

export interface TransportPair {
  router: Transport;
  agent: Transport;
  /** Ends the connection without a word. */
  cut(): void;
  /** Frees what the pair holds. */
  dispose(): Promise<void>;
}

export function memoryTransportPair(): Promise<TransportPair> {
  const pair = createMemoryPair();
  return Promise.resolve({ ...pair, cut: () => pair.cut(), dispose: async () => {} });
}

/** A real WebSocket over loopback. */
export async function wsTransportPair(): Promise<TransportPair> {
  const server = createServer();
  const sockets = new WebSocketServer({ ...wsServerOptions, server });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const url = `ws://127.0.0.1:${port}/v1/agents/link`;
  const client = new WebSocket(url, linkSubprotocol, wsClientOptions);
  const accepted = once(sockets, 'connection') as Promise<[WebSocket]>;
  const [[socket]] = await Promise.all([accepted, once(client, 'open')]);
  return {
    router: createWsTransport(socket),
    agent: createWsTransport(client),
    cut: () => client.terminate(),
    async dispose() {
      client.terminate();
      socket.terminate();
      sockets.close();
      server.close();
      await once(server, 'close');
    },
  };
}

export interface Closed {
  reason: LinkCloseReason;
  detail: string;
  by: ClosedBy;
}

/** What the router's end of one stream was told. */
export class Answer implements StreamHandlers {
  heads: HeadMessage[] = [];
  chunks: Buffer[] = [];
  ends: (EndMessage | undefined)[] = [];
  resets: { code: ResetCode; detail: string }[] = [];
  confirmed: (EndMessage | undefined)[] = [];
  writable = 0;
  /** Report every chunk as passed on, at once. */
  reading = true;
  stream: LinkStream | undefined;

  onHead(head: HeadMessage): void {
    this.heads.push(head);
  }

  onData(chunk: Buffer): void {
    this.chunks.push(chunk);
    if (this.reading) this.stream?.consumed(chunk.length);
  }

  onEnd(end: EndMessage | undefined): void {
    this.ends.push(end);
  }

  onReset(code: ResetCode, detail: string): void {
    this.resets.push({ code, detail });
  }

  onConfirmed({ end }: Confirmation): void {
    this.confirmed.push(end);
  }

  onWritable(): void {
    this.writable += 1;
  }

  get bytes(): number {
    return this.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString('utf8');
  }
}

/** One request at the agent: the same record, and the stream to answer on. */
export class Request extends Answer {
  readonly message: OpenMessage;
  override readonly stream: LinkStream;

  constructor(message: OpenMessage, stream: LinkStream) {
    super();
    this.message = message;
    this.stream = stream;
  }
}

export interface LinkPair {
  router: RouterPeer;
  agent: AgentPeer;
  transports: TransportPair;
  routerControl: AgentControl[];
  agentControl: RouterControl[];
  requests: Request[];
  routerClosed: Closed[];
  agentClosed: Closed[];
  /** Opens a request and gives what its handlers are told. */
  open(message?: Partial<OpenMessage>, answer?: Answer): Answer & { stream: LinkStream };
  /** Resolves when `condition` holds; fails after many turns of the event loop. */
  until(condition: () => boolean): Promise<void>;
}

export const helloOf = (agent: Partial<HelloMessage> = {}): HelloMessage => ({
  type: 'hello',
  versions: [1],
  agentVersion: '0.1.0',
  agentId: '7d1c3c9e-96c5-4b3e-9f6e-6c1f7a6b7d10',
  instance: 'instance-1',
  link: 0,
  accessToken: 'token',
  signature: 'signature',
  ...agent,
});

export const welcome: RouterControl = {
  type: 'welcome',
  version: 1,
  routerId: 'router-1',
  agentName: 'agent',
  pingIntervalMs: 5000,
  silentAfterMs: 30_000,
};

export const challenge: RouterControl = {
  type: 'challenge',
  nonce: 'nonce-nonce-nonce',
  versions: [1],
};

export const openOf = (message: Partial<OpenMessage> = {}): OpenMessage => ({
  requestId: 'req_1',
  instance: 'engine-1',
  path: '/v1/chat/completions',
  model: 'default',
  created: 1_800_000_000,
  stream: true,
  includeUsage: false,
  bodyBytes: 0,
  ...message,
});

export const endOf = (end: Partial<EndMessage> = {}): EndMessage => ({
  requestId: 'req_1',
  usage: { input: 3, cached: 0, output: 5 },
  timings: { totalMs: 12 },
  outcome: 'completed',
  ...end,
});

/** Both ends, shaken hands unless `handshake` is false. */
export async function createLinkPair(options: {
  transports: TransportPair;
  clock?: Clock;
  limits?: Partial<LinkLimits>;
  handshake?: boolean;
}): Promise<LinkPair> {
  const { transports, clock = systemClock, limits = {} } = options;
  const pair = {
    transports,
    routerControl: [] as AgentControl[],
    agentControl: [] as RouterControl[],
    requests: [] as Request[],
    routerClosed: [] as Closed[],
    agentClosed: [] as Closed[],
    until,
  };
  const router = createRouterPeer(transports.router, {
    clock,
    limits,
    handlers: {
      onControl(message) {
        pair.routerControl.push(message);
        if (message.type === 'hello') router.send(welcome);
      },
      onClose: (reason, detail, by) => void pair.routerClosed.push({ reason, detail, by }),
    },
  });
  const agent = createAgentPeer(transports.agent, {
    clock,
    limits,
    handlers: {
      onControl(message) {
        pair.agentControl.push(message);
        if (message.type === 'challenge') agent.send(helloOf());
      },
      onOpen(message, stream) {
        const request = new Request(message, stream);
        pair.requests.push(request);
        return request;
      },
      onClose: (reason, detail, by) => void pair.agentClosed.push({ reason, detail, by }),
    },
  });
  if (options.handshake !== false) {
    router.send(challenge);
    await until(() => pair.agentControl.length === 2);
  }
  const open = (message: Partial<OpenMessage> = {}, answer = new Answer()) =>
    Object.assign(answer, { stream: router.open(openOf(message), answer) });
  return { ...pair, router, agent, open };
}

/** Real sockets need many turns; a condition that never comes fails the test in a few seconds. */
const mostTurns = 200_000;

async function until(condition: () => boolean): Promise<void> {
  for (let turns = 0; !condition(); turns += 1) {
    if (turns === mostTurns) throw new Error(`never became true: ${condition.toString()}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
