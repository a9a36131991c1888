import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { FakeClock } from '../../testing/fakeClock.ts';
import { readMetrics, valueOf } from '../../testing/router/readMetrics.ts';
import { until } from '../../testing/processes/processes.ts';
import { ProcessMeter } from './processMeter.ts';

/** A clock whose timers fire late, as those of a process that is busy do. */
class LateClock extends FakeClock {
  lateMs = 0;

  override setTimer(delayMs: number, fire: () => void): ReturnType<FakeClock['setTimer']> {
    return super.setTimer(delayMs + this.lateMs, fire);
  }
}

test('an event loop that is blocked and looks as if it were not', () => {
  const clock = new LateClock();
  const meter = new ProcessMeter({ clock, version: '1' });
  meter.start();
  clock.advance(1000);
  clock.lateMs = 400;
  clock.advance(2000);
  meter.stop();
  const families = readMetrics(meter.text());
  const name = 'xim_event_loop_delay_seconds_bucket';
  const below = (le: string): number => valueOf(families, name, { le }) ?? -1;
  const [quick, all] = [below('0.001'), below('+Inf')];
  assert.ok(quick >= 4, `${quick} were in time`);
  assert.ok(all - quick >= 2, `${all - quick} were late`);
  assert.equal(below('0.25'), quick);
  assert.equal(clock.pendingTimers, 0, 'it goes on after its end');
});

test('pauses for collecting garbage that nobody counts', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const meter = new ProcessMeter({ clock: new FakeClock(), version: '1' });
  meter.start();
  collect();
  const name = 'nodejs_gc_duration_seconds_count';
  const counted = (): boolean =>
    (valueOf(readMetrics(meter.text()), name, { kind: 'major' }) ?? 0) > 0;
  await until(counted, { what: 'a pause to be counted' });
  meter.stop();
});
