/** Seeded fleets in virtual time (`RouterSimulation`). A failure names the seed to repeat. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { RouterSimulation, type SimulationReport } from '../testing/router/routerSimulation.ts';

const seeds = 30;

test('R1 R2 R3 R5 hold in every fleet, whatever breaks', async () => {
  const reports: SimulationReport[] = [];
  for (let seed = 1; seed <= seeds; seed += 1) {
    try {
      reports.push(await new RouterSimulation(seed).run());
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
  const outcomes = new Set(reports.flatMap((report) => Object.keys(report.outcomes)));
  for (const kind of [
    'completed',
    'client_closed',
    'queue_timeout',
    'queue_full',
    'upstream_error',
    'stream_error',
    'engine_refused',
    'timeout',
    'revoked',
  ]) {
    assert.ok(outcomes.has(kind), `no request ended with ${kind}: ${[...outcomes].join(' ')}`);
  }
  for (const { stages, requests, virtualMs } of reports) {
    assert.ok((stages['own'] ?? 0) > 0 && (stages['shared'] ?? 0) > 0, 'both stages serve');
    assert.ok(requests >= 50 && virtualMs >= 60_000);
  }
});
