/**
 * Mooncake traces: one JSON object a line with `timestamp` (ms), `input_length`, `output_length`
 * and `hash_ids`, the ids of its 512-token prefix blocks. Published by kvcache-ai/Mooncake.
 */
import type { Random } from '../../lib/random.ts';
import { onlyTenant, type TraceOutcome, type TraceRequest } from './traceRequest.ts';

/** The grid that published traces are rounded to. */
const gridMs = 3_000;

/** Published grids are off by this much: 2,999 where 3,000 is meant. */
const gridSlackMs = 5;

/**
 * Reads one. Where all times lie on the grid of 3 s, they are spread over their 3 s by the random
 * source; otherwise they are taken as they are.
 */
export function readMooncake(text: string, from: { file: string; random: Random }): TraceOutcome {
  const { file, random } = from;
  const requests: TraceRequest[] = [];
  let line = 0;
  for (const row of text.split('\n')) {
    line += 1;
    if (row.trim() === '') continue;
    const request = readRow(row);
    if (typeof request === 'string')
      return { kind: 'bad_trace', problem: `${file}:${line}: ${request}` };
    requests.push(request);
  }
  // One request says nothing about a grid.
  const onGrid =
    requests.length > 1 && requests.every(({ atMs }) => offGridMs(atMs) <= gridSlackMs);
  if (!onGrid) return { kind: 'read', requests, notes: [] };
  for (const request of requests) {
    request.atMs = Math.round(request.atMs / gridMs) * gridMs + random.float() * gridMs;
  }
  return { kind: 'read', requests, notes: ['times lie on a grid of 3 s: spread over their 3 s'] };
}

function offGridMs(atMs: number): number {
  return Math.abs(atMs - Math.round(atMs / gridMs) * gridMs);
}

function readRow(row: string): TraceRequest | string {
  let value: unknown;
  try {
    value = JSON.parse(row);
  } catch {
    return 'this line is not JSON';
  }
  if (typeof value !== 'object' || value === null) return 'this line is not an object';
  const {
    timestamp,
    input_length,
    output_length,
    hash_ids = [],
  } = value as Record<string, unknown>;
  if (!isCount(timestamp)) return 'timestamp has to be a number of ms, at least 0';
  if (!isCount(input_length)) return 'input_length has to be a number of tokens, at least 0';
  if (!isCount(output_length)) return 'output_length has to be a number of tokens, at least 0';
  if (!isBlocks(hash_ids)) return 'hash_ids has to be a list of whole numbers';
  return {
    atMs: timestamp,
    tenant: onlyTenant,
    inputTokens: Math.max(1, Math.round(input_length)),
    outputTokens: Math.max(1, Math.round(output_length)),
    blocks: hash_ids,
  };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

function isBlocks(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((id) => Number.isSafeInteger(id));
}
