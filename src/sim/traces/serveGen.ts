/**
 * ServeGen folders: for each client `chunk-<i>-trace.csv` (window start in s, requests/s, cv,
 * pattern, two parameters) and `chunk-<i>-dataset.json` (for each stretch of the day, shares of
 * input and output lengths). Published by alibaba/ServeGen. A client becomes a tenant.
 *
 * What is drawn: in each window a client sends rate × length requests (the fraction by chance),
 * with gaps of its pattern and first parameter, the shape. The gaps are scaled to fill the window,
 * so the rate is met however bursty the shape is.
 */
import type { Random } from '../../lib/random.ts';
import { exponential, gamma, Histogram, weibull } from './draws.ts';
import type { TraceOutcome, TraceRequest } from './traceRequest.ts';

/** The text of one client's two files. */
export interface ServeGenClient {
  /** The number in its files' names. */
  id: string;
  trace: string;
  dataset: string;
}

interface Window {
  startS: number;
  /** Requests a second. */
  rate: number;
  pattern: string;
  shape: number;
}

interface Lengths {
  fromS: number;
  input: Histogram;
  output: Histogram;
}

interface Client {
  tenant: string;
  windows: Window[];
  lengths: Lengths[];
}

/** Windows are ten minutes long; the last one has no successor that would say so. */
const lastWindowS = 600;

/** Draws the requests of the day from `fromS` on, window by window, until there are enough. */
export function drawServeGen(
  files: readonly ServeGenClient[],
  how: { random: Random; fromS: number; requests: number },
): TraceOutcome {
  const clients: Client[] = [];
  for (const file of files) {
    const client = readClient(file);
    if (typeof client === 'string') return { kind: 'bad_trace', problem: client };
    clients.push(client);
  }
  const starts = [...new Set(clients.flatMap(({ windows }) => windows.map((one) => one.startS)))];
  const requests: TraceRequest[] = [];
  for (const startS of starts.toSorted((one, other) => one - other)) {
    if (requests.length >= how.requests) break;
    for (const client of clients) drawWindow(client, { startS, how, requests });
  }
  return { kind: 'read', requests, notes: [] };
}

function drawWindow(
  client: Client,
  where: { startS: number; how: { random: Random; fromS: number }; requests: TraceRequest[] },
): void {
  const { startS, requests } = where;
  const { random, fromS } = where.how;
  const at = client.windows.findIndex((one) => one.startS === startS);
  const window = client.windows[at];
  if (window === undefined || window.rate === 0) return;
  const lengthS = (client.windows[at + 1]?.startS ?? startS + lastWindowS) - startS;
  if (startS + lengthS <= fromS) return;
  const lengths = client.lengths.findLast((one) => one.fromS <= startS) ?? client.lengths[0];
  if (lengths === undefined) return;
  const count = Math.floor(window.rate * lengthS + random.float());
  const gaps = Array.from({ length: count + 1 }, () => drawGap(window, random));
  const scale = (lengthS * 1_000) / gaps.reduce((sum, gap) => sum + gap, 0);
  let atMs = startS * 1_000;
  for (const gap of gaps.slice(0, count)) {
    atMs += gap * scale;
    const inputTokens = Math.max(1, lengths.input.draw(random));
    const outputTokens = Math.max(1, lengths.output.draw(random));
    if (atMs < fromS * 1_000) continue;
    requests.push({ atMs, tenant: client.tenant, inputTokens, outputTokens, blocks: [] });
  }
}

/** Never 0, so that the gaps of a window have a sum to be scaled by. */
function drawGap({ pattern, shape }: Window, random: Random): number {
  const smallest = 1e-9;
  if (pattern === 'Gamma' && shape > 0) return smallest + gamma(random, shape);
  if (pattern === 'Weibull' && shape > 0) return smallest + weibull(random, shape);
  return smallest + exponential(random);
}

function readClient(file: ServeGenClient): Client | string {
  const windows: Window[] = [];
  for (const [at, row] of file.trace.split('\n').entries()) {
    if (row.trim() === '') continue;
    const cells = row.trim().split(',');
    const [startS, rate, , , shape] = cells.map(Number);
    const isRow = Number.isFinite(startS) && Number.isFinite(rate) && (rate as number) >= 0;
    if (!isRow)
      return `chunk-${file.id}-trace.csv:${at + 1}: expected are start, rate, cv, pattern, shape`;
    windows.push({
      startS: startS as number,
      rate: rate as number,
      pattern: cells[3] ?? '',
      shape: Number.isFinite(shape) ? (shape as number) : 1,
    });
  }
  const lengths = readLengths(file);
  if (typeof lengths === 'string') return lengths;
  if (lengths.length === 0 && windows.some(({ rate }) => rate > 0)) {
    return `chunk-${file.id}-dataset.json: has no lengths, and its trace has requests`;
  }
  return {
    tenant: `client-${file.id}`,
    windows: windows.toSorted((one, other) => one.startS - other.startS),
    lengths: lengths.toSorted((one, other) => one.fromS - other.fromS),
  };
}

function readLengths(file: ServeGenClient): Lengths[] | string {
  const name = `chunk-${file.id}-dataset.json`;
  let stretches: unknown;
  try {
    stretches = JSON.parse(file.dataset);
  } catch {
    return `${name}: is not JSON`;
  }
  if (typeof stretches !== 'object' || stretches === null) return `${name}: is not an object`;
  const lengths: Lengths[] = [];
  for (const [fromS, stretch] of Object.entries(stretches as Record<string, unknown>)) {
    const { input_tokens, output_tokens } = (stretch ?? {}) as Record<string, unknown>;
    const input = readShares(input_tokens);
    const output = readShares(output_tokens);
    if (input === null || output === null || !Number.isFinite(Number(fromS))) {
      return `${name}: "${fromS}" has no input_tokens and output_tokens with shares`;
    }
    if (input.length === 0 || output.length === 0) continue;
    lengths.push({
      fromS: Number(fromS),
      input: new Histogram(input),
      output: new Histogram(output),
    });
  }
  return lengths;
}

/** `{45: 0.0096, 46: …}`, as text (which is not JSON: its keys have no quotes) or as an object. */
function readShares(value: unknown): [number, number][] | null {
  const pairs =
    typeof value === 'string'
      ? [...value.matchAll(/(\d+(?:\.\d+)?)\s*:\s*([\d.eE+-]+)/g)].map(([, a, b]) => [a, b])
      : Object.entries((value ?? {}) as Record<string, unknown>);
  const shares = pairs.map(([length, share]): [number, number] => [Number(length), Number(share)]);
  const fine = shares.every(([length, share]) => Number.isFinite(length) && share >= 0);
  return fine ? shares.filter(([, share]) => share > 0) : null;
}
