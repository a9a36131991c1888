/**
 * A server as an agent sees it: the enrolment routes and the link, over real sockets, with real
 * signatures, and with hooks for what goes wrong. Everything that an agent said is recorded.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { errorEnvelope, errorTable, type ErrorName } from '../../api/errors.ts';
import {
  enrollMessage,
  joinKeyIdOf,
  refreshMessage,
  type EnrollRequest,
  type RefreshRequest,
} from '../../api/enrollment.ts';
import { systemClock } from '../../lib/clock.ts';
import { publicKeyFromText, verifyText } from '../../lib/crypto/ed25519.ts';
import type { DesiredModel } from '../../protocol/messages/routerControl.ts';
import { createWsTransport, wsServerOptions } from '../../protocol/wsTransport.ts';
import { FakeServerLink } from './fakeServerLink.ts';

export interface FakeServerOptions {
  port?: number;
  tls?: { key: string; cert: string };
  models?: readonly DesiredModel[];
  maxConcurrentRequests?: number;
  /** Life of access tokens, in seconds. */
  expiresIn?: number;
}

/** What meets the next call of a route instead of its answer. */
export type RouteFault =
  | { kind: 'refuse'; name: ErrorName }
  | { kind: 'status'; status: number }
  /** The call is carried out, and its answer is lost. */
  | { kind: 'lose_answer' };

interface KnownAgent {
  publicKey: string;
  generation: number;
}

const desiredModel: DesiredModel = {
  modelId: 'model_1',
  name: 'fake-model',
  source: 'hf:x/y',
  format: 'gguf',
  task: 'generate',
  sizeBytes: null,
  sha256: null,
  contextLength: null,
};

export class FakeServer {
  readonly joinKey = 'xjk_0123456789abcdefghjkmnpqrs_secret';
  url = '';
  /** Every link that was opened, oldest first. */
  readonly links: FakeServerLink[] = [];
  readonly enrolments: EnrollRequest[] = [];
  readonly refreshes: RefreshRequest[] = [];
  /** By agent id. */
  readonly agents = new Map<string, KnownAgent>();
  /** By path; the first one is used up by the next call. */
  readonly faults = new Map<string, RouteFault[]>();
  readonly options: FakeServerOptions;
  private readonly server: http.Server;
  private readonly sockets = new WebSocketServer({ ...wsServerOptions, noServer: true });
  private readonly nonces = new Set<string>();

  constructor(options: FakeServerOptions = {}) {
    this.options = options;
    const listener = (request: IncomingMessage, response: ServerResponse): void => {
      // Handled: a call that fails is answered with what the agent must take as a server's fault.
      void this.onRequest(request, response).catch(() => response.writeHead(500).end());
    };
    this.server =
      options.tls === undefined
        ? http.createServer(listener)
        : https.createServer(options.tls, listener);
    this.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.onUpgrade(request, socket, head);
    });
  }

  async start(): Promise<this> {
    this.server.listen(this.options.port ?? 0, '127.0.0.1');
    await once(this.server, 'listening');
    const scheme = this.options.tls === undefined ? 'http' : 'https';
    this.url = `${scheme}://127.0.0.1:${this.port}`;
    return this;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** The newest link. Throws when there is none. */
  get link(): FakeServerLink {
    const link = this.links.at(-1);
    if (link === undefined) throw new Error('no agent has linked');
    return link;
  }

  /** Closes everything. Idempotent. */
  async stop(): Promise<void> {
    for (const link of this.links) link.cut();
    if (!this.server.listening) return;
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, 'close');
  }

  /** Whether this router gave the token, and gives no newer one for longer than it must. */
  takesToken(agentId: string, accessToken: string): boolean {
    const known = this.agents.get(agentId);
    const generation = Number(accessToken.split('.')[1]);
    return known !== undefined && generation >= known.generation - 1;
  }

  private onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (request.url !== '/v1/agents/link') {
      socket.end('HTTP/1.1 404 Not Found\r\n\r\n');
      return;
    }
    this.sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const transport = createWsTransport(webSocket);
      const { models = [desiredModel], maxConcurrentRequests = 0 } = this.options;
      const link = new FakeServerLink({
        transport,
        clock: systemClock,
        config: {
          type: 'config',
          models: [...models],
          maxConcurrentRequests,
          storageLimitBytes: null,
        },
        judge: (hello) => {
          const known = this.agents.get(hello.agentId);
          const fine = known !== undefined && this.takesToken(hello.agentId, hello.accessToken);
          return fine ? known.publicKey : undefined;
        },
      });
      this.links.push(link);
    });
  }

  private async onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const body: unknown = chunks.length === 0 ? {} : JSON.parse(Buffer.concat(chunks).toString());
    const path = request.url ?? '';
    const fault = this.faults.get(path)?.shift();
    if (fault?.kind === 'refuse') return refuse(response, fault.name);
    if (fault?.kind === 'status') return void response.writeHead(fault.status).end();
    const answer = this.answerOf(path, body, request);
    if (fault?.kind === 'lose_answer') return void request.socket.destroy();
    if (typeof answer === 'string') return refuse(response, answer);
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  }

  private answerOf(path: string, body: unknown, request: IncomingMessage): object | ErrorName {
    switch (path) {
      case '/v1/enroll/nonce': {
        const nonce = randomUUID();
        this.nonces.add(nonce);
        return { nonce, expires_in: 60 };
      }
      case '/v1/enroll':
        return this.enroll(body as EnrollRequest, request.headers.host ?? '');
      case '/v1/enroll/refresh':
        return this.refresh(body as RefreshRequest);
      default:
        return 'unknown_url';
    }
  }

  private enroll(body: EnrollRequest, host: string): object | ErrorName {
    this.enrolments.push(body);
    if (!this.nonces.delete(body.nonce)) return 'nonce_invalid';
    if (body.join_key !== this.joinKey) return 'join_key_invalid';
    const message = enrollMessage({
      nonce: body.nonce,
      host,
      joinKeyId: joinKeyIdOf(body.join_key) ?? '',
      publicKey: body.public_key,
      facts: body.facts,
    });
    if (!signed(message, body.signature, body.public_key)) return 'signature_invalid';
    const again = [...this.agents].find(([, { publicKey }]) => publicKey === body.public_key);
    const agentId = again?.[0] ?? randomUUID();
    this.agents.set(agentId, { publicKey: body.public_key, generation: 1 });
    return {
      agent_id: agentId,
      worker_id: 'wrk_fake',
      name: body.name ?? 'agent',
      region: 'here',
      link_url: '/v1/agents/link',
      ...this.credentials(agentId, 1),
    };
  }

  private refresh(body: RefreshRequest): object | ErrorName {
    this.refreshes.push(body);
    if (!this.nonces.delete(body.nonce)) return 'nonce_invalid';
    const known = this.agents.get(body.agent_id);
    if (known === undefined) return 'rotation_token_invalid';
    const { agent_id: agentId, rotation_token: rotationToken, nonce } = body;
    const message = refreshMessage({ agentId, rotationToken, nonce });
    if (!signed(message, body.signature, known.publicKey)) return 'signature_invalid';
    const presented = Number(rotationToken.split('.')[1]);
    if (presented < known.generation - 1) return 'agent_suspended';
    known.generation = Math.max(known.generation, presented + 1);
    return this.credentials(agentId, known.generation);
  }

  private credentials(agentId: string, generation: number): object {
    return {
      access_token: `access.${generation}.${agentId}`,
      expires_in: this.options.expiresIn ?? 600,
      rotation_token: `rotation.${generation}.${agentId}`,
    };
  }
}

function signed(message: Buffer, signature: string, publicKey: string): boolean {
  const key = publicKeyFromText(publicKey);
  return key !== undefined && verifyText({ message, signature, publicKey: key });
}

function refuse(response: ServerResponse, name: ErrorName): void {
  const envelope = errorEnvelope(name, `refused: ${name}.`);
  response.writeHead(errorTable[name].status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(envelope));
}
