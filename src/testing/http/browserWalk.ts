/**
 * Follows redirects as a browser does, with a cookie jar by host and path, and without one for what
 * another site must not send. Ends where an answer leads nowhere else.
 */
import http from 'node:http';

interface Cookie {
  name: string;
  value: string;
  host: string;
  path: string;
}

export interface WalkEnd {
  status: number;
  url: string;
  text: string;
  /** Every address on the way, the first one included. */
  visited: string[];
}

export class BrowserWalk {
  private jar: Cookie[] = [];

  /** The cookies that a request to `url` carries. */
  cookiesFor(url: string): string {
    const { host, pathname } = new URL(url);
    return this.jar
      .filter((cookie) => cookie.host === host && pathname.startsWith(cookie.path))
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ');
  }

  async walk(from: string): Promise<WalkEnd> {
    const visited: string[] = [];
    let url = from;
    for (let hops = 0; hops < 20; hops += 1) {
      visited.push(url);
      const reply = await this.get(url);
      if (reply.location === undefined) return { ...reply, url, visited };
      url = new URL(reply.location, url).href;
    }
    throw new Error(`redirects without end: ${visited.join(' ')}`);
  }

  private get(url: string): Promise<{ status: number; text: string; location?: string }> {
    const cookie = this.cookiesFor(url);
    const headers = cookie === '' ? {} : { cookie };
    return new Promise((resolve, reject) => {
      const request = http.get(url, { headers, agent: false }, (response) => {
        this.keep(url, response.headers['set-cookie'] ?? []);
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const { location } = response.headers;
          resolve({
            status: response.statusCode ?? 0,
            text: Buffer.concat(chunks).toString('utf8'),
            ...(location === undefined ? {} : { location }),
          });
        });
      });
      request.on('error', reject);
    });
  }

  private keep(url: string, lines: readonly string[]): void {
    const { host } = new URL(url);
    for (const line of lines) {
      const [pair = '', ...attributes] = line.split(/;\s*/);
      const name = pair.slice(0, pair.indexOf('='));
      const value = pair.slice(pair.indexOf('=') + 1);
      const path = attributes.find((text) => /^path=/i.test(text))?.slice(5) ?? '/';
      this.jar = this.jar.filter(
        (cookie) => cookie.name !== name || cookie.host !== host || cookie.path !== path,
      );
      const ended = attributes.some((text) => /^max-age=0$/i.test(text)) || value === '';
      if (!ended) this.jar.push({ name, value, host, path });
    }
  }
}
