/**
 * Sends a file of ours: in pieces, by the reader's pace, with a validator so that an unchanged
 * file is not sent twice. Nothing is kept in memory between requests.
 */
import { once } from 'node:events';
import { open, type FileHandle } from 'node:fs/promises';
import type { Exchange } from '../exchanges/exchange.ts';
import { filePieceBytes, type HttpLimits } from '../limits.ts';
import { cutWhenUnread, type ReadingPace } from '../listening/unreadAnswer.ts';

export interface FileAnswer {
  path: string;
  type: string;
  /** Flat list of names and values. */
  headers: readonly string[];
  limits: ReadingPace & Pick<HttpLimits, 'fileBytes'>;
}

/** False when there is no such file (nothing was answered then). */
export async function sendFile(exchange: Exchange, file: FileAnswer): Promise<boolean> {
  const handle = await openFile(file.path);
  if (handle === undefined) return false;
  try {
    const { size, mtimeMs } = await handle.stat();
    const { fileBytes } = file.limits;
    if (size > fileBytes) throw new Error(`${file.path} is larger than ${fileBytes} bytes`);
    const tag = `"${size.toString(16)}-${Math.round(mtimeMs).toString(16)}"`;
    const headers = [...file.headers, 'etag', tag];
    if (matches(exchange.request.headers['if-none-match'], tag)) {
      exchange.response.writeHead(304, [...exchange.baseHeaders(), ...headers]);
      exchange.response.end();
      return true;
    }
    const length = ['content-type', file.type, 'content-length', String(size)];
    exchange.response.writeHead(200, [...exchange.baseHeaders(), ...headers, ...length]);
    if (exchange.request.method === 'HEAD') {
      exchange.response.end();
      return true;
    }
    const { clock, response } = exchange;
    cutWhenUnread(response, { bytes: size, pace: file.limits, clock });
    await sendPieces(exchange, handle, size);
    return true;
  } finally {
    await handle.close();
  }
}

async function sendPieces(exchange: Exchange, handle: FileHandle, size: number): Promise<void> {
  const { response } = exchange;
  const closed = new AbortController();
  response.once('close', () => closed.abort());
  for (let at = 0; at < size;) {
    const piece = Buffer.allocUnsafe(Math.min(filePieceBytes, size - at));
    const { bytesRead } = await handle.read(piece, 0, piece.length, at);
    if (response.destroyed) return;
    if (bytesRead === 0) {
      // The file shrank under us: the promised length cannot be kept.
      response.destroy();
      return;
    }
    at += bytesRead;
    if (!response.write(piece.subarray(0, bytesRead)) && at < size) {
      const { signal } = closed;
      const gone = await once(response, 'drain', { signal }).then(
        () => false,
        () => true,
      );
      if (gone) return;
    }
  }
  response.end();
}

async function openFile(path: string): Promise<FileHandle | undefined> {
  try {
    const handle = await open(path, 'r');
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR') return undefined;
    throw error;
  }
}

function matches(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  return header.split(',').some((one) => one.trim().replace(/^W\//, '') === tag || one === '*');
}
