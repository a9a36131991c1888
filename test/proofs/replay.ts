/**
 * `npm run proofs -- replay [--seconds 90]`: whether a day of receipts, replayed in the simulator
 * under the same policy, has the mean TTFT that it had. The day is served by the real router over
 * its links, with fake agents before engines that keep the simulator's model: five days in virtual
 * time, and one of `--seconds` in real time. `npm test` runs one short day.
 */
import { parseArgs } from 'node:util';
import { sleep, systemClock } from '../../src/lib/clock.ts';
import { parseFleet, type Machine } from '../../src/sim/fleetSpec.ts';
import { drawnDay } from '../../src/testing/replay/drawnDay.ts';
import { recordDay, type RecordedDay } from '../../src/testing/replay/recordedDay.ts';
import { replayDay } from '../../src/testing/replay/replayDay.ts';
import { recordVirtualDay } from '../../src/testing/replay/virtualDay.ts';

const mostApart = 0.15;
/** Shorter than the life of an access token, which a fake agent does not refresh. */
const virtual = { fleet: '2xA100+1xA100@3', perS: 0.8, requests: 440 };
/** So many machines that a minute and a half has requests enough. */
const real = { fleet: '8xA100+4xA100@3', perS: 3.2 };

/** Times in s. */
interface ReplayedDay {
  day: string;
  requests: number;
  completed: number;
  recorded: number;
  replayed: number;
  apart: number;
  /** Under a rule that looks at nothing, for comparison. */
  round_robin: number;
}

export async function prove(
  args: string[],
): Promise<{ passed: boolean; days: ReplayedDay[] } & Record<string, unknown>> {
  const { values } = parseArgs({ args, options: { seconds: { type: 'string', default: '90' } } });
  const days: ReplayedDay[] = [];
  for (const seed of [1, 2, 3, 4, 5]) {
    const requests = drawnDay({ ...virtual, seed });
    const day = await recordVirtualDay({ machines: machinesOf(virtual.fleet), requests });
    days.push(judged(`virtual, seed ${seed}`, day, virtual.fleet));
  }
  const requests = drawnDay({
    perS: real.perS,
    requests: Math.round(real.perS * Number(values.seconds)),
    seed: 6,
  });
  const pass = async (ms: number): Promise<void> => void (await sleep(systemClock, ms));
  const machines = machinesOf(real.fleet);
  const day = await recordDay({ clock: systemClock, machines, requests, pass });
  days.push(judged(`real, ${values.seconds} s`, day, real.fleet));
  const passed = days.every((one) => one.apart <= mostApart && one.completed === one.requests);
  return { passed, most_apart: mostApart, days };
}

function judged(name: string, day: RecordedDay, fleet: string): ReplayedDay {
  const replay = replayDay(day.lines, { policy: 'xim', fleet });
  const other = replayDay(day.lines, { policy: 'round-robin', fleet });
  const recorded = replay.recorded?.ttft.mean ?? Number.NaN;
  const replayed = replay.ttft.mean ?? Number.NaN;
  const judgement = {
    day: name,
    requests: replay.requests,
    completed: day.completed,
    recorded,
    replayed,
    apart: Math.abs(replayed / recorded - 1),
    round_robin: other.ttft.mean ?? Number.NaN,
  };
  process.stderr.write(`${JSON.stringify(judgement)}\n`);
  return judgement;
}

function machinesOf(spec: string): readonly Machine[] {
  const fleet = parseFleet(spec);
  if (fleet.kind === 'bad_fleet') throw new Error(fleet.problem);
  return fleet.machines;
}
