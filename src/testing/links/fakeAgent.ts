/**
 * An agent without an engine: it speaks the real link protocol through the real mux, and answers
 * each request as a script says. Scripts cover the ugly ways, too: die after n bytes, stall, end
 * late, refuse, say nothing.
 */
import { newKeyPair, publicKeyText, signText, type Ed25519Pair } from '../../lib/crypto/ed25519.ts';
import { systemClock, type Clock } from '../../lib/clock.ts';
import type {
  AgentPeer,
  LinkCloseReason,
  LinkStream,
  ResetCode,
  StreamHandlers,
  Transport,
} from '../../protocol/link.ts';
import type { AgentControl, GrantMessage } from '../../protocol/messages/agentControl.ts';
import type { EndMessage } from '../../protocol/messages/end.ts';
import type { OpenMessage } from '../../protocol/messages/open.ts';
import type { ConfigMessage, RouterControl } from '../../protocol/messages/routerControl.ts';
import { createAgentPeer } from '../../protocol/mux.ts';
import { helloMessage } from '../../protocol/signing.ts';

/** What an agent keeps in its state directory, and its present access token. */
export interface AgentIdentity {
  agentId: string;
  keys: Ed25519Pair;
  publicKey: string;
  accessToken: string;
}

/** A new key pair under a given id; the token comes from whoever signs. */
export function newIdentity(options: { agentId: string; accessToken: string }): AgentIdentity {
  const keys = newKeyPair();
  return { ...options, keys, publicKey: publicKeyText(keys.publicKey) };
}

/** Answers one request. A script that rejects fails the test run. */
export type Script = (request: FakeRequest, agent: FakeAgent) => void | Promise<void>;

/** One request at the agent. */
export class FakeRequest implements StreamHandlers {
  readonly message: OpenMessage;
  readonly stream: LinkStream;
  body = Buffer.alloc(0);
  /** The router reset it, or its link died. */
  reset: ResetCode | undefined;
  private readonly script: Script;
  private readonly agent: FakeAgent;
  private writable: (() => void)[] = [];
  private onResetHook: (() => void) | undefined;

  constructor(options: {
    message: OpenMessage;
    stream: LinkStream;
    script: Script;
    agent: FakeAgent;
  }) {
    this.message = options.message;
    this.stream = options.stream;
    this.script = options.script;
    this.agent = options.agent;
  }

  onData(chunk: Buffer): void {
    this.body = Buffer.concat([this.body, chunk]);
    this.stream.consumed(chunk.length);
  }

  onEnd(): void {
    // A rejection is unhandled, and so ends the test run: scripts do not fail on purpose.
    void this.script(this, this.agent);
  }

  onReset(code: ResetCode): void {
    this.reset = code;
    if (this.onResetHook !== undefined) this.onResetHook();
    else if (code !== 'link_closed') this.stream.reset('cancelled');
  }

  onWritable(): void {
    for (const resolve of this.writable.splice(0)) resolve();
  }

  /** What happens on a RESET instead of confirming it at once. */
  whenReset(hook: () => void): void {
    this.onResetHook = hook;
  }

  /** Resolves when the router has given credit again. */
  untilWritable(): Promise<void> {
    return new Promise((resolve) => this.writable.push(resolve));
  }

  streamHead(): void {
    this.stream.head({ status: 200, contentType: 'text/event-stream; charset=utf-8' });
  }

  /** One event with `text` as its content. */
  event(text: string): boolean {
    return this.stream.write(eventOf(text));
  }

  done(): void {
    this.stream.write(Buffer.from('data: [DONE]\n\n'));
  }

  finish(end: Partial<EndMessage> = {}): void {
    this.stream.end({
      requestId: this.message.requestId,
      usage: { input: 5, cached: 1, output: 3 },
      timings: { totalMs: 1 },
      outcome: 'completed',
      ...end,
    });
  }
}

/** A chunk of a chat completion, as a client reads it. */
export function eventText(text: string): string {
  return `data: ${JSON.stringify({ choices: [{ delta: { content: text } }] })}\n\n`;
}

export function eventOf(text: string): Buffer {
  return Buffer.from(eventText(text));
}

/** Streams each text as an event, then ends well. */
export const streams =
  (...texts: string[]): Script =>
  (request) => {
    request.streamHead();
    for (const text of texts) request.event(text);
    request.done();
    request.finish();
  };

/** Answers in one piece. */
export const answers =
  (body: string, status = 200): Script =>
  (request) => {
    request.stream.head({ status, contentType: 'application/json' });
    request.stream.write(Buffer.from(body));
    request.finish();
  };

/** Streams as a request asks: events, or one piece. */
export const echoes: Script = (request, agent) => {
  const script = request.message.stream ? streams('Hello', ' world') : answers('{"ok":true}');
  return script(request, agent);
};

/** Resets before a byte of the answer. */
export const refuses =
  (code: ResetCode): Script =>
  (request) =>
    request.stream.reset(code);

/** Its process is gone before it answers. */
export const diesAtOnce: Script = (_request, agent) => agent.kill();

/** Its process is gone when so many bytes of the answer have been read by the router. */
export const diesAfter =
  (bytes: Buffer): Script =>
  (request, agent) => {
    request.streamHead();
    request.stream.write(bytes);
    // The frame leaves at the end of this turn.
    setImmediate(() => setImmediate(() => agent.kill()));
  };

/** Begins, and never goes on. */
export const stalls =
  (...texts: string[]): Script =>
  (request) => {
    if (texts.length > 0) request.streamHead();
    for (const text of texts) request.event(text);
  };

/** Never answers at all. */
export const saysNothing: Script = () => {};

export interface FakeAgentOptions {
  identity: AgentIdentity;
  transport: Transport;
  clock?: Clock;
  script?: Script;
  /** Granted at once after WELCOME; none = the test grants. */
  slots?: number;
  modelId?: string;
  abilities?: string[];
  /** Names this start of the process. */
  nonce?: string;
  link?: number;
  /** Hears of a request before its body has come. */
  onRequest?: (request: FakeRequest, agent: FakeAgent) => void;
  /** Changes HELLO, to be wrong in one thing. */
  tamper?: (hello: Extract<AgentControl, { type: 'hello' }>) => AgentControl;
}

export class FakeAgent {
  readonly identity: AgentIdentity;
  readonly requests: FakeRequest[] = [];
  readonly controls: RouterControl[] = [];
  /** Request ids that the router has acknowledged. */
  readonly acked: string[] = [];
  closed: { reason: LinkCloseReason; detail: string } | undefined;
  script: Script;
  readonly peer: AgentPeer;
  private readonly options: FakeAgentOptions;
  private readonly transport: Transport;

  constructor(options: FakeAgentOptions) {
    this.options = options;
    this.identity = options.identity;
    this.transport = options.transport;
    this.script = options.script ?? echoes;
    this.peer = createAgentPeer(options.transport, {
      clock: options.clock ?? systemClock,
      handlers: {
        onControl: (message) => this.onControl(message),
        onOpen: (message, stream) => this.onOpen(message, stream),
        onClose: (reason, detail) => {
          this.closed = { reason, detail };
        },
      },
    });
  }

  get isLinked(): boolean {
    return this.controls.some((message) => message.type === 'welcome') && !this.closed;
  }

  /** The last CONFIG. */
  get config(): ConfigMessage | undefined {
    return this.controls.findLast((message) => message.type === 'config');
  }

  get goaways(): string[] {
    return this.controls.flatMap((one) => (one.type === 'goaway' ? [one.reason] : []));
  }

  grant(instances: GrantMessage['instances']): void {
    this.peer.send({ type: 'grant', instances });
  }

  /** Grants one engine instance. */
  grantSlots(slots: number): void {
    const { modelId = 'model_a', abilities = ['chat'] } = this.options;
    this.grant([{ instance: 'engine-1', modelId, slots, engine: 'fake', abilities }]);
  }

  /** The process is gone: no farewell. */
  kill(): void {
    this.transport.terminate();
  }

  private onControl(message: RouterControl): void {
    this.controls.push(message);
    if (message.type === 'challenge') this.peer.send(this.hello(message.nonce));
    if (message.type === 'ack') this.acked.push(...message.requestIds);
    if (message.type === 'welcome' && this.options.slots !== undefined) {
      this.grantSlots(this.options.slots);
    }
  }

  private onOpen(message: OpenMessage, stream: LinkStream): StreamHandlers {
    const { script } = this;
    const request = new FakeRequest({ message, stream, script, agent: this });
    this.requests.push(request);
    this.options.onRequest?.(request, this);
    return request;
  }

  private hello(nonce: string): AgentControl {
    const { identity, options } = this;
    const { agentId, accessToken, keys } = identity;
    const { nonce: instance = 'process-1', link = 0 } = options;
    const message = helloMessage({ nonce, agentId, instance, link, accessToken });
    const hello = {
      type: 'hello' as const,
      versions: [1],
      agentVersion: '0.1.0',
      agentId,
      instance,
      link,
      accessToken,
      signature: signText({ message, privateKey: keys.privateKey }),
    };
    return options.tamper === undefined ? hello : options.tamper(hello);
  }
}
