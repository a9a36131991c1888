/** The short version of `npm run proofs -- replay`, in virtual time. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { parseFleet } from '../../sim/fleetSpec.ts';
import { drawnDay } from './drawnDay.ts';
import { replayDay } from './replayDay.ts';
import { recordVirtualDay } from './virtualDay.ts';

const fleet = '2xA100+1xA100@3';

test('a replay under the same policy has another mean TTFT than the day had', async () => {
  const parsed = parseFleet(fleet);
  assert.ok(parsed.kind === 'fleet');
  const requests = drawnDay({ requests: 300, perS: 0.8, seed: 3 });
  const day = await recordVirtualDay({ machines: parsed.machines, requests });
  assert.equal(day.completed, requests.length);
  const replay = replayDay(day.lines, { policy: 'xim', fleet });
  assert.equal(replay.requests, requests.length);
  assert.equal(replay.tenants.length, 3);
  const recorded = replay.recorded?.ttft.mean ?? 0;
  // What receipts say is what clients saw.
  assert.ok(Math.abs((1000 * recorded) / day.meanTtftMs - 1) < 0.02);
  assert.ok(Math.abs((replay.ttft.mean ?? 0) / recorded - 1) < 0.15);
  // Prompts share as much with one another as they did.
  const rows = day.lines
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { cached_tokens: number; input_length: number });
  const cached = rows.reduce((sum, one) => sum + one.cached_tokens, 0);
  const input = rows.reduce((sum, one) => sum + one.input_length, 0);
  assert.ok(Math.abs((replay.hit_share ?? 0) - cached / input) < 0.08);
  // Another policy would have been another day.
  const other = replayDay(day.lines, { policy: 'round-robin', fleet });
  assert.ok((other.ttft.mean ?? 0) > 1.3 * recorded);
});
