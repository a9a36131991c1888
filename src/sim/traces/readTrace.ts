/**
 * Reads a trace in whatever format it is: Mooncake (JSON lines), Azure (csv), receipts of a
 * platform (JSON lines) or a folder of ServeGen clients. Requests come back in the order of their
 * arrival, the first one at 0.
 */
import { readdirSync, readFileSync, statSync, type Stats } from 'node:fs';
import path from 'node:path';
import type { Random } from '../../lib/random.ts';
import { maxRequests, maxTraceBytes, serveGenRequests } from '../limits.ts';
import { azureHeader, readAzure } from './azure.ts';
import { readMooncake } from './mooncake.ts';
import { readReceipts, receiptMember } from './receipts.ts';
import { drawServeGen, type ServeGenClient } from './serveGen.ts';
import type { TraceOutcome, TraceRequest } from './traceRequest.ts';

export interface TraceOptions {
  random: Random;
  /** Where in the trace the run begins, in s. */
  fromS: number;
  /** At most so many requests; undefined: all, or what is usual for the format. */
  requests: number | undefined;
}

export function readTrace(name: string, options: TraceOptions): TraceOutcome {
  const stats = statOf(name);
  if (stats === null) return bad(`${name}: there is no such file or folder`);
  const outcome = stats.isDirectory()
    ? readFolder(name, options)
    : readOneFile(name, { ...options, bytes: stats.size });
  if (outcome.kind === 'bad_trace') return outcome;
  const { notes } = outcome;
  const requests = cut(outcome.requests, options);
  if (requests.length === 0) return bad(`${name}: has no requests${after(options.fromS)}`);
  if (requests.length > maxRequests) {
    return bad(`${name}: has more than ${maxRequests} requests; take fewer with --requests`);
  }
  return { kind: 'read', requests, notes };
}

function bad(problem: string): TraceOutcome {
  return { kind: 'bad_trace', problem };
}

const after = (fromS: number): string => (fromS === 0 ? '' : ` after ${fromS} s`);

/** In order, from `fromS` on, at most so many; the first arrives at 0. */
function cut(
  requests: readonly TraceRequest[],
  { fromS, requests: most }: TraceOptions,
): TraceRequest[] {
  const wanted = requests
    .filter(({ atMs }) => atMs >= fromS * 1_000)
    .toSorted((one, other) => one.atMs - other.atMs)
    .slice(0, most);
  const startMs = wanted[0]?.atMs ?? 0;
  return wanted.map((request) => ({ ...request, atMs: request.atMs - startMs }));
}

function readOneFile(file: string, options: TraceOptions & { bytes: number }): TraceOutcome {
  if (options.bytes > maxTraceBytes) {
    return bad(`${file}: is larger than ${maxTraceBytes / 1024 / 1024} MiB`);
  }
  const text = textOf(file);
  if (text === null) return bad(`${file}: cannot be read`);
  if (text.trimStart().startsWith('{')) {
    const [first = ''] = text.trimStart().split('\n', 1);
    if (first.includes(`"${receiptMember}"`)) return readReceipts(text, { file });
    return readMooncake(text, { file, random: options.random });
  }
  const [header = ''] = text.replace(/^\uFEFF/, '').split('\n', 1);
  if (header.trim() === azureHeader) return readAzure(text, { file });
  return bad(
    `${file}: is no trace that is known: neither JSON lines (Mooncake, receipts) nor csv with ` +
      `the header ${azureHeader} (Azure)`,
  );
}

function readFolder(folder: string, options: TraceOptions): TraceOutcome {
  const clients: ServeGenClient[] = [];
  for (const file of readdirSync(folder).toSorted()) {
    const [, id] = /^chunk-(\d+)-trace\.csv$/.exec(file) ?? [];
    if (id === undefined) continue;
    const trace = textOf(path.join(folder, file));
    const dataset = textOf(path.join(folder, `chunk-${id}-dataset.json`));
    if (trace === null || dataset === null) {
      return bad(
        `${folder}: chunk-${id}-trace.csv and chunk-${id}-dataset.json cannot both be read`,
      );
    }
    clients.push({ id, trace, dataset });
  }
  if (clients.length === 0) {
    return bad(
      `${folder}: has no chunk-<number>-trace.csv, so it is no folder of ServeGen clients`,
    );
  }
  const { random, fromS, requests = serveGenRequests } = options;
  const drawn = drawServeGen(clients, { random, fromS, requests });
  if (drawn.kind === 'bad_trace') return { ...drawn, problem: `${folder}: ${drawn.problem}` };
  const first = drawn.requests.toSorted((one, other) => one.atMs - other.atMs).slice(0, requests);
  const note = `${clients.length} clients, their first ${first.length} requests${after(fromS)}`;
  return { kind: 'read', requests: first, notes: [note] };
}

function statOf(name: string): Stats | null {
  return statSync(name, { throwIfNoEntry: false }) ?? null;
}

function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
