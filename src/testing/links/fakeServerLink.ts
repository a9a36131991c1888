/** One link at the fake server: shakes hands, records what the agent says, opens requests. */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';
import { publicKeyFromText, verifyText } from '../../lib/crypto/ed25519.ts';
import type { LinkCloseReason, RouterPeer, Transport } from '../../protocol/link.ts';
import type { AgentControl, HelloMessage } from '../../protocol/messages/agentControl.ts';
import type { EndMessage } from '../../protocol/messages/end.ts';
import type { OpenMessage } from '../../protocol/messages/open.ts';
import type { ConfigMessage, RouterControl } from '../../protocol/messages/routerControl.ts';
import { createRouterPeer } from '../../protocol/mux.ts';
import { helloMessage } from '../../protocol/signing.ts';
import { Answer } from './linkPair.ts';
import { until } from '../until.ts';

type Said<Type extends AgentControl['type']> = Extract<AgentControl, { type: Type }>;

export interface FakeServerLinkParts {
  transport: Transport;
  clock: Clock;
  config: ConfigMessage;
  /** The public key of an agent whose token is good; undefined closes the link as unauthorised. */
  judge: (hello: HelloMessage) => string | undefined;
}

export class FakeServerLink {
  readonly peer: RouterPeer;
  readonly said: AgentControl[] = [];
  closed: { reason: LinkCloseReason; detail: string } | undefined;
  private readonly parts: FakeServerLinkParts;
  private readonly nonce = randomUUID();

  constructor(parts: FakeServerLinkParts) {
    this.parts = parts;
    this.peer = createRouterPeer(parts.transport, {
      clock: parts.clock,
      handlers: {
        onControl: (message) => this.onControl(message),
        onClose: (reason, detail) => {
          this.closed = { reason, detail };
        },
      },
    });
    this.peer.send({ type: 'challenge', nonce: this.nonce, versions: [1] });
  }

  /** Messages of one type that the agent has sent, oldest first. */
  all<Type extends AgentControl['type']>(type: Type): Said<Type>[] {
    return this.said.filter((message): message is Said<Type> => message.type === type);
  }

  /** Instances that the agent grants now. */
  get granted(): Said<'grant'>['instances'] {
    return this.all('grant').at(-1)?.instances ?? [];
  }

  /** Trailers of earlier links that were repeated here. */
  get repeated(): EndMessage[] {
    return this.all('trailers').flatMap(({ ends }) => ends);
  }

  send(message: RouterControl): void {
    this.peer.send(message);
  }

  /** Waits until a model is granted. */
  async ready(): Promise<void> {
    await until(() => this.granted.some(({ slots }) => slots > 0), { what: 'a grant' });
  }

  /** Opens a request on the first granted instance (or the given one) and sends its body. */
  open(body: unknown, options: Partial<OpenMessage> = {}, answer = new Answer()): OpenAnswer {
    const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    const message: OpenMessage = {
      requestId: `req_${randomUUID()}`,
      instance: this.granted[0]?.instance ?? 'none',
      path: '/v1/chat/completions',
      model: 'default',
      created: 1_800_000_000,
      stream: true,
      includeUsage: false,
      bodyBytes: bytes.length,
      ...options,
    };
    const stream = this.peer.open(message, answer);
    stream.write(bytes);
    stream.end();
    return Object.assign(answer, { stream, message });
  }

  /** Ends the connection without a word. */
  cut(): void {
    this.parts.transport.terminate();
  }

  private onControl(message: AgentControl): void {
    this.said.push(message);
    if (message.type === 'hello') this.onHello(message);
  }

  private onHello(hello: HelloMessage): void {
    const { agentId, instance, link, accessToken, signature } = hello;
    const known = this.parts.judge(hello);
    const key = known === undefined ? undefined : publicKeyFromText(known);
    const proof = helloMessage({ nonce: this.nonce, agentId, instance, link, accessToken });
    if (key === undefined || !verifyText({ message: proof, signature, publicKey: key })) {
      return this.peer.close('unauthorized', 'token or signature');
    }
    this.peer.send({
      type: 'welcome',
      version: 1,
      routerId: 'router-1',
      agentName: 'agent',
      pingIntervalMs: 5000,
      silentAfterMs: 30_000,
    });
    this.peer.send(this.parts.config);
  }
}

export type OpenAnswer = Answer & {
  stream: ReturnType<RouterPeer['open']>;
  message: OpenMessage;
};

/** Waits until the request is over, whichever way. */
export async function answered(answer: Answer): Promise<void> {
  await until(() => answer.ends.length + answer.resets.length + answer.confirmed.length > 0, {
    what: 'the end of an answer',
  });
}
