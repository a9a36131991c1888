/** A recorded day again, in the simulator. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { systemClock } from '../../lib/clock.ts';
import { planRun } from '../../sim/planRun.ts';
import type { PolicyName } from '../../sim/policies/policyNames.ts';
import { reportOf, type RunReport } from '../../sim/report.ts';
import { Simulation } from '../../sim/simulation.ts';

/** Throws where the lines are no trace. */
export function replayDay(lines: string, how: { policy: PolicyName; fleet: string }): RunReport {
  const folder = mkdtempSync(path.join(tmpdir(), 'xim-replay-'));
  try {
    const trace = path.join(folder, 'receipts.jsonl');
    writeFileSync(trace, lines);
    const planned = planRun({
      ...how,
      trace,
      speed: 1,
      seed: 1,
      from: 0,
      requests: undefined,
      tenants: undefined,
      faults: undefined,
      order: undefined,
      inflightCap: undefined,
      queueTimeout: 30,
      json: true,
    });
    if (planned.kind === 'bad_options') throw new Error(planned.problems.join('; '));
    if (planned.kind === 'bad_trace') throw new Error(planned.problem);
    const { plan } = planned;
    const run = new Simulation({ ...plan, clock: systemClock, progress: () => {} }).run();
    return reportOf(plan.name, run);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
