/**
 * Receipts of a platform as a trace: what `GET /api/v1/platform/receipts` (`xim receipts export`)
 * gives. Each line is one request with its lengths, the blocks of its prompt by number and what
 * came of it, so that a day can be replayed under another policy and held against what it was.
 */
import { blockTokens } from '../limits.ts';
import type { TraceOutcome, TraceRequest } from './traceRequest.ts';

/** What tells such a line from one of another JSON trace. */
export const receiptMember = 'xim_receipt';

/** Where an engine did not count. */
const bytesPerToken = 4;
/** The part of a block that may be missing where it is said to be whole. */
const roundUp = 0.1;
/** Blocks of the simulator that one block of a receipt becomes at most. */
const maxSplit = 64;

export function readReceipts(text: string, { file }: { file: string }): TraceOutcome {
  const receipts: ReadReceipt[] = [];
  let line = 0;
  for (const row of text.split('\n')) {
    line += 1;
    if (row.trim() === '') continue;
    const read = readRow(row);
    if (typeof read === 'string') return { kind: 'bad_trace', problem: `${file}:${line}: ${read}` };
    receipts.push(read);
  }
  const tokensPerByte = ratioOf(receipts);
  const requests = receipts.map(({ request, ids, blockBytes }) => ({
    ...request,
    blocks: blocksOf(ids, request.inputTokens, blockBytes * tokensPerByte),
  }));
  return { kind: 'read', requests, notes: [recordedNote(requests)] };
}

interface ReadReceipt {
  request: TraceRequest;
  bytes: number;
  ids: readonly number[];
  blockBytes: number;
}

/**
 * Of all together: were it another one for each prompt, the blocks that two prompts share would
 * fall into different ones of the simulator's.
 */
function ratioOf(receipts: readonly ReadReceipt[]): number {
  let [tokens, bytes] = [0, 0];
  for (const one of receipts) {
    if (one.ids.length === 0) continue;
    tokens += one.request.inputTokens;
    bytes += one.bytes;
  }
  return bytes === 0 ? 1 / bytesPerToken : tokens / bytes;
}

/** What it was, for whoever compares. */
function recordedNote(requests: readonly TraceRequest[]): string {
  const times = requests.flatMap(({ recorded }) => recorded?.ttftMs ?? []);
  const mean = times.reduce((sum, ms) => sum + ms, 0) / Math.max(1, times.length);
  const failed = requests.filter(({ recorded }) => recorded?.failed === true).length;
  return (
    `receipts of ${requests.length} requests: mean TTFT was ${(mean / 1000).toFixed(3)} s, ` +
    `${failed} failed`
  );
}

function readRow(row: string): ReadReceipt | string {
  let value: unknown;
  try {
    value = JSON.parse(row);
  } catch {
    return 'this line is not JSON';
  }
  if (typeof value !== 'object' || value === null) return 'this line is not an object';
  const one = value as Record<string, unknown>;
  if (one[receiptMember] !== 1) return `${receiptMember} has to be 1: another version is not known`;
  const { timestamp, project, body_bytes: bytes, hash_ids: blocks, block_bytes: size } = one;
  if (!isCount(timestamp)) return 'timestamp has to be a number of ms';
  if (typeof project !== 'string') return 'project has to be a name';
  if (!isCount(bytes)) return 'body_bytes has to be a number of bytes';
  if (!isBlocks(blocks)) return 'hash_ids has to be a list of whole numbers';
  if (!isCount(size)) return 'block_bytes has to be a number of bytes';
  const input = one['input_length'] ?? bytes / bytesPerToken;
  const output = one['output_length'] ?? 1;
  if (!isCount(input) || !isCount(output)) return 'lengths have to be numbers of tokens';
  const inputTokens = Math.max(1, Math.round(input));
  const ttft = one['ttft_ms'] ?? null;
  const request: TraceRequest = {
    atMs: timestamp,
    tenant: project,
    inputTokens,
    outputTokens: Math.max(1, Math.round(output)),
    blocks: [],
    recorded: {
      ttftMs: isCount(ttft) ? ttft : null,
      failed: one['outcome'] !== 'completed' && one['outcome'] !== 'client_closed',
    },
  };
  return { request, bytes, ids: blocks, blockBytes: size };
}

/**
 * The blocks of a receipt have so many bytes, those of the simulator so many tokens: each of these
 * is named after the last one of those that lies in it or before it whole, and its place behind it.
 */
function blocksOf(ids: readonly number[], inputTokens: number, tokensPerBlock: number): number[] {
  if (ids.length === 0 || tokensPerBlock === 0) return [];
  const blocks: number[] = [];
  let [last, behind] = [-1, 0];
  for (let end = blockTokens; end <= inputTokens; end += blockTokens) {
    // A few tokens more or less make no other block of it.
    const at = Math.floor(end / tokensPerBlock + roundUp) - 1;
    if (at >= ids.length) break;
    const id = ids[at];
    // Nothing whole lies before it.
    if (id === undefined) continue;
    behind = at === last ? behind + 1 : 0;
    last = at;
    if (behind < maxSplit) blocks.push(id * maxSplit + behind);
  }
  return blocks;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

function isBlocks(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((id) => Number.isSafeInteger(id) && id >= 0);
}
