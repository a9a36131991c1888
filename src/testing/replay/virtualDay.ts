/** A recorded day in virtual time. */
import type { Machine } from '../../sim/fleetSpec.ts';
import type { TraceRequest } from '../../sim/traces/traceRequest.ts';
import { FakeClock } from '../fakeClock.ts';
import { settle } from '../router/routerHarness.ts';
import { recordDay, type RecordedDay } from './recordedDay.ts';

/** Time goes on in steps; in between everything that is under way comes to rest. */
const stepMs = 5;

export function recordVirtualDay(options: {
  machines: readonly Machine[];
  requests: readonly TraceRequest[];
}): Promise<RecordedDay> {
  const clock = new FakeClock();
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= stepMs) {
      await clock.advanceAsync(Math.min(stepMs, left));
      await settle(2);
    }
  };
  return recordDay({ ...options, clock, pass });
}
