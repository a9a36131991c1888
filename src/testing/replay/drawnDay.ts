/** A day of drawn conversations: what `npm run proofs -- replay` and its short version record. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { randomInt, seededRandom } from '../../lib/random.ts';
import { readTrace } from '../../sim/traces/readTrace.ts';
import type { TraceRequest } from '../../sim/traces/traceRequest.ts';
import { drawnTrace } from '../routingProof/drawnTrace.ts';

const tenants = 3;

/** Of several tenants, each with conversations of its own. */
export function drawnDay(of: { requests: number; perS: number; seed: number }): TraceRequest[] {
  const folder = mkdtempSync(path.join(tmpdir(), 'xim-day-'));
  try {
    const file = path.join(folder, 'drawn.jsonl');
    writeFileSync(file, drawnTrace(of));
    const random = seededRandom(of.seed);
    const read = readTrace(file, { random, fromS: 0, requests: undefined });
    if (read.kind === 'bad_trace') throw new Error(read.problem);
    const owners = new Map<number, string>();
    return read.requests.map((request) => {
      // A conversation is known by its second block: the first one is everybody's.
      const key = request.blocks[1] ?? 0;
      const tenant = owners.get(key) ?? `t${randomInt(random, tenants)}`;
      owners.set(key, tenant);
      return { ...request, tenant };
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
