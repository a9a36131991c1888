/** Calls a server over one connection that stays open, one call at a time, and times each. */
import http from 'node:http';
import { pause } from '../machine/children.ts';

export interface TimedAnswer {
  status: number;
  /** When it was sent, by `performance.now()`. */
  sentMs: number;
  /** From the call until the last byte of the answer. */
  ms: number;
  text: string;
  /** Seconds, when a limit says to come back later. */
  retryAfter: number;
}

export class TimedClient {
  private readonly agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  private readonly base: string;

  /** `base`: `http://host:port`. */
  constructor(base: string) {
    this.base = base;
  }

  call(
    method: string,
    path: string,
    { key, body }: { key?: string; body?: object } = {},
  ): Promise<TimedAnswer> {
    const sent = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const headers = {
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(sent === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': sent.length }),
    };
    const { promise, resolve, reject } = Promise.withResolvers<TimedAnswer>();
    const sentMs = performance.now();
    const request = http.request(
      new URL(path, this.base),
      { method, headers, agent: this.agent },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('error', reject);
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const ms = performance.now() - sentMs;
          const text = Buffer.concat(chunks).toString('utf8');
          const retryAfter = Number(response.headers['retry-after'] ?? 0);
          resolve({ status: response.statusCode ?? 0, sentMs, ms, text, retryAfter });
        });
      },
    );
    request.on('error', reject);
    request.end(sent);
    return promise;
  }

  /**
   * The answer as JSON. Throws when its status is another one; a limit on changes is waited for,
   * and only the call that came through counts.
   */
  async expect<Answer>(
    status: number,
    [method, path, options]: Parameters<TimedClient['call']>,
  ): Promise<{ sentMs: number; ms: number; json: Answer }> {
    const answer = await this.call(method, path, options);
    if (answer.status === 429 && status !== 429) {
      await pause(answer.retryAfter * 1_000);
      return this.expect(status, [method, path, options]);
    }
    if (answer.status !== status) {
      throw new Error(`${method} ${path}: ${answer.status} ${answer.text.slice(0, 300)}`);
    }
    const { sentMs, ms, text } = answer;
    return { sentMs, ms, json: JSON.parse(text) as Answer };
  }

  close(): void {
    this.agent.destroy();
  }
}
