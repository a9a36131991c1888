/** A long text of the server's, passed on as it comes: nothing of it is kept. */
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Terminal } from '../command.ts';
import { authHeaders, refusalOf, type CallOutcome } from './callServer.ts';
import type { ContextAuth } from './contextStore.ts';
import {
  openRequest,
  unreachableReason,
  unreachableText,
  type ServerAddress,
} from './openRequest.ts';

/** Longest time without a byte, in ms. */
const silenceMs = 60_000;
/** Longest refusal that is read, in characters. */
const maxRefusalLength = 64 * 1024;

export interface Download {
  address: ServerAddress;
  auth: ContextAuth;
  /** With its query. */
  path: string;
  clock: Clock;
}

export type DownloadOutcome =
  | { kind: 'done' }
  /** It broke off in the middle. */
  | { kind: 'broken' }
  | Exclude<CallOutcome<never>, { kind: 'ok' }>;

/** Never rejects. A reader of standard output that is slow slows the server down. */
export async function downloadText(
  { address, auth, path, clock }: Download,
  terminal: Pick<Terminal, 'out' | 'drained'>,
): Promise<DownloadOutcome> {
  const headers = { accept: 'text/csv', ...authHeaders(auth, address.server) };
  const request = openRequest(address, { method: 'GET', path, headers });
  let silence: Timer | undefined;
  const heard = (): void => {
    silence?.cancel();
    silence = clock.setTimer(silenceMs, () => request.destroy(new Error('it fell silent')), {
      keepAlive: true,
    });
  };
  heard();
  try {
    const answer = await new Promise<Parameters<typeof textOf>[0]>((resolve, reject) => {
      request.on('response', resolve);
      request.on('error', reject);
      request.end();
    });
    const status = answer.statusCode ?? 0;
    if (status !== 200) {
      return { kind: 'refused', status, ...refusalOf(jsonOf(await textOf(answer)), status) };
    }
    return await passOn(answer, terminal, heard);
  } catch (error) {
    const message = unreachableText(error, address.server);
    return { kind: 'unreachable', reason: unreachableReason(error), message };
  } finally {
    silence?.cancel();
  }
}

type Answer = AsyncIterable<Buffer | string> & {
  statusCode?: number | undefined;
  setEncoding(encoding: 'utf8'): unknown;
};

async function passOn(
  answer: Answer,
  terminal: Pick<Terminal, 'out' | 'drained'>,
  heard: () => void,
): Promise<DownloadOutcome> {
  answer.setEncoding('utf8');
  try {
    for await (const part of answer) {
      heard();
      terminal.out(String(part));
      await terminal.drained();
    }
    return { kind: 'done' };
  } catch {
    return { kind: 'broken' };
  }
}

async function textOf(answer: Answer): Promise<string> {
  let text = '';
  answer.setEncoding('utf8');
  for await (const part of answer) if (text.length < maxRefusalLength) text += String(part);
  return text;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
