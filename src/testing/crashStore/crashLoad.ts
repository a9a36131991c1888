/**
 * Load on a server until it dies: chat requests, streams and whole answers, and changes of the
 * control plane, each entered into the ledger when it is acknowledged.
 */
import type { ServerProcess } from '../processes/serverProcess.ts';
import type { CrashLedger } from './crashLedger.ts';

const chatters = 6;
const keyMakers = 2;
/** Changes of one caller are limited; it goes on after this. */
const pauseMs = 100;

export interface CrashLoad {
  /** Resolves when every client has met the end of the server. */
  ended: Promise<void>;
}

export function startCrashLoad(server: ServerProcess, ledger: CrashLedger): CrashLoad {
  const client = new LoadClient(server, ledger);
  const running = [
    ...Array.from({ length: chatters }, (_none, at) =>
      client.repeat((turn) => client.chat(at + turn)),
    ),
    ...Array.from({ length: keyMakers }, () => client.repeat((turn) => client.changeKeys(turn))),
    client.repeat(() => client.rename()),
  ];
  const ended = Promise.all(running).then(() => undefined);
  // Whoever starts the load asks later how it ended.
  ended.catch(() => undefined);
  return { ended };
}

interface Answer {
  status: number;
  body: unknown;
}

export class LoadClient {
  private readonly origin: string;
  private readonly managementKey: string;
  private readonly apiKey: string;
  private readonly project: string;
  private readonly ledger: CrashLedger;

  constructor(server: ServerProcess, ledger: CrashLedger) {
    const { server: origin, management_key: managementKey, api_key: apiKey } = server.credentials();
    this.origin = origin;
    this.managementKey = managementKey;
    this.apiKey = apiKey;
    this.project = server.credentials().project;
    this.ledger = ledger;
  }

  /** Does it again and again until the server does not answer any more. */
  async repeat(once: (turn: number) => Promise<void>): Promise<void> {
    for (let turn = 0; ; turn += 1) {
      try {
        await once(turn);
      } catch (error) {
        if (!isDeath(error)) throw error;
        return;
      }
    }
  }

  /** One call, put off as often as the server says that there are too many. */
  async control(method: string, what: string, body?: unknown, once?: string): Promise<Answer> {
    for (;;) {
      const answer = await this.call(method, what, body, once);
      if (answer.status !== 429) return answer;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  private async call(
    method: string,
    what: string,
    body: unknown,
    once: string | undefined,
  ): Promise<Answer> {
    const response = await fetch(`${this.origin}/api/v1/projects/${this.project}${what}`, {
      method,
      headers: {
        authorization: `Bearer ${this.managementKey}`,
        'content-type': 'application/json',
        ...(once === undefined ? {} : { 'idempotency-key': once }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  }

  /** Whether the data plane takes a key. */
  async opens(key: string): Promise<boolean> {
    const headers = { authorization: `Bearer ${key}` };
    const response = await fetch(`${this.origin}/${this.project}/own/v1/models`, { headers });
    await response.text();
    if (![200, 401].includes(response.status)) throw new Error(`models: ${response.status}`);
    return response.status === 200;
  }

  async chat(turn: number): Promise<void> {
    const stream = turn % 3 !== 0;
    const response = await fetch(`${this.origin}/${this.project}/own/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'own',
        stream,
        messages: [{ role: 'user', content: `fake:{"chunks":${1 + (turn % 20)},"tickMs":5}` }],
      }),
    });
    const requestId = response.headers.get('x-request-id') ?? '';
    if (response.status !== 200) {
      throw new Error(`chat: ${response.status} ${await response.text()}`);
    }
    this.ledger.broken.add(requestId);
    const text = await response.text();
    const isWhole = stream ? text.endsWith('data: [DONE]\n\n') : text.endsWith('}');
    if (!isWhole) throw new Error(`an answer ended early and did not say so: ${text.slice(-200)}`);
    this.ledger.broken.delete(requestId);
    this.ledger.answered.add(requestId);
  }

  /** Makes a key; every second time revokes one. */
  async changeKeys(turn: number): Promise<void> {
    const name = this.ledger.newKeyName();
    this.ledger.unanswered.add(name);
    await this.createKey(name);
    const living = turn % 2 === 0 ? this.ledger.livingKey(turn) : undefined;
    if (living === undefined) return;
    living.revoked = 'asked';
    const { status } = await this.control('DELETE', `/api-keys/${living.id}`);
    if (status !== 200) throw new Error(`revoke: ${status}`);
    living.revoked = 'yes';
  }

  /** The same call each time: it makes one key or none. Returns the status. */
  async createKey(name: string): Promise<number> {
    const wish = { name, scopes: ['inference'] };
    const { status, body } = await this.control('POST', '/api-keys', wish, `once-${name}`);
    if (status === 201) {
      const { id, key } = body as { id: string; key: string };
      this.ledger.keys.set(name, { id, key, revoked: 'no' });
      this.ledger.unanswered.delete(name);
    } else if (status !== 409) {
      throw new Error(`create: ${status} ${JSON.stringify(body)}`);
    }
    return status;
  }

  async rename(): Promise<void> {
    const { name } = this.ledger;
    const next = name.asked + 1;
    name.asked = next;
    const { status } = await this.control('PATCH', '', { name: String(next) });
    if (status !== 200) throw new Error(`rename: ${status}`);
    name.acknowledged = next;
  }
}

/** What `fetch` says of a server that is gone, before its answer or in the middle of it. */
function isDeath(error: unknown): boolean {
  return error instanceof TypeError && /fetch failed|terminated|network/i.test(error.message);
}
