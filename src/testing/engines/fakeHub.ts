/**
 * A Hugging Face hub on loopback: repositories of files in memory, the redirect to where the bytes
 * lie, ranges, and the ways in which a real one fails. What it does is counted, so that a test can
 * say what was asked for.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sha256Hex } from '../../lib/crypto/hashing.ts';

export interface FakeHubFile {
  repo: string;
  file: string;
  bytes: Buffer;
  /** What the hub declares; by default the truth. Null: nothing. */
  sha256?: string | null;
}

export interface FakeHubFaults {
  /** Cut the connection after this many bytes of a file's body, this many times. */
  cutAfterBytes?: number;
  cuts?: number;
  /** Answer the next requests for bytes with these statuses. */
  statuses?: number[];
  /** Send the whole file whatever range was asked for. */
  ignoreRanges?: boolean;
  /** Redirect to this address instead of our own. */
  redirectTo?: string;
  /** Hold back every byte of a file after the head. */
  stall?: boolean;
  /** No fault: answer clients that take it with a description (xet) instead of the redirect. */
  xet?: boolean;
}

export interface FakeHub {
  /** What `HF_ENDPOINT` would be. */
  url: string;
  faults: FakeHubFaults;
  /** `METHOD path` and the Range header, in order. */
  requests: { path: string; range: string | undefined }[];
  /** Bytes of files that were sent. */
  sentBytes: number;
  close(): Promise<void>;
}

/** Starts a hub on a free port. */
export async function startFakeHub(files: readonly FakeHubFile[]): Promise<FakeHub> {
  const hub: FakeHub = {
    url: '',
    faults: {},
    requests: [],
    sentBytes: 0,
    close: () => closeServer(server),
  };
  const server = createServer((request, response) => {
    hub.requests.push({ path: request.url ?? '', range: request.headers.range });
    answer({ hub, files, request, response });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  hub.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return hub;
}

interface Exchange {
  hub: FakeHub;
  files: readonly FakeHubFile[];
  request: IncomingMessage;
  response: ServerResponse;
}

function answer(exchange: Exchange): void {
  const { hub, files, response } = exchange;
  const path = decodeURIComponent((exchange.request.url ?? '').split('?')[0] ?? '');
  for (const [at, entry] of files.entries()) {
    if (path === `/${entry.repo}/resolve/main/${entry.file}`) {
      const declared = entry.sha256 === undefined ? sha256Hex(entry.bytes) : entry.sha256;
      if (declared !== null) response.setHeader('X-Linked-ETag', `"${declared}"`);
      response.setHeader('X-Linked-Size', String(entry.bytes.length));
      if (hub.faults.xet === true && takesXet(exchange.request)) {
        response.setHeader('X-Xet-Hash', sha256Hex(`xet ${entry.file}`));
        response.setHeader('Link', xetLinks(hub.url));
        response.setHeader('Content-Type', `${xetType}; charset=utf-8`);
        response.end('{}');
        return;
      }
      response.setHeader('Location', hub.faults.redirectTo ?? `/bytes/${at}`);
      response.writeHead(302).end();
      return;
    }
    if (path === `/bytes/${at}`) {
      sendBytes(exchange, entry.bytes);
      return;
    }
  }
  const tree = /^\/api\/models\/([^/]+\/[^/]+)\/tree\/main$/.exec(path);
  if (tree !== null) {
    const inRepo = files.filter(({ repo }) => repo === tree[1]);
    const entries = inRepo.map(({ file, bytes }) => ({
      type: 'file',
      path: file,
      size: bytes.length,
    }));
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(entries));
    return;
  }
  response.setHeader('X-Error-Code', 'EntryNotFound');
  response.writeHead(404).end();
}

const xetType = 'application/vnd.xet-fileinfo+json';

function takesXet(request: IncomingMessage): boolean {
  return request.headers.accept?.includes(xetType) === true;
}

function xetLinks(url: string): string {
  return `<${url}/xet/auth>; rel="xet-auth", <${url}/xet/file>; rel="xet-reconstruction-info"`;
}

function sendBytes(exchange: Exchange, bytes: Buffer): void {
  const { hub, request, response } = exchange;
  const { faults } = hub;
  const status = faults.statuses?.shift();
  if (status !== undefined) {
    response.writeHead(status).end();
    return;
  }
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const ranged = range !== null && faults.ignoreRanges !== true;
  const from = ranged ? Number(range[1]) : 0;
  const to = ranged && range[2] !== '' ? Number(range[2]) + 1 : bytes.length;
  if (from >= bytes.length) {
    response.writeHead(416, { 'Content-Range': `bytes */${bytes.length}` }).end();
    return;
  }
  const body = bytes.subarray(from, to);
  response.setHeader('ETag', '"bytes-of-a-storage"');
  response.setHeader('Content-Length', String(body.length));
  if (ranged) response.setHeader('Content-Range', `bytes ${from}-${to - 1}/${bytes.length}`);
  response.writeHead(ranged ? 206 : 200);
  if (faults.stall === true) {
    response.flushHeaders();
    return;
  }
  if (faults.cutAfterBytes !== undefined && (faults.cuts ?? 0) > 0 && body.length > 1) {
    faults.cuts = (faults.cuts ?? 0) - 1;
    const part = body.subarray(0, faults.cutAfterBytes);
    hub.sentBytes += part.length;
    response.write(part, () => response.socket?.destroy());
    return;
  }
  hub.sentBytes += body.length;
  response.end(body);
}

async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
}
