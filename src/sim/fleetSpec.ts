/** `--fleet SPEC`: `8xA100`, or mixed, `4xA100+4xA100@3`: the latter three times slower. */
import { maxMachines } from './limits.ts';

/** What a machine is; also said to the router when it joins, except how slow it is. */
export interface Machine {
  hardware: 'A100';
  /** Its steps take this many times as long. */
  slowness: number;
}

export type FleetOutcome =
  | { kind: 'fleet'; machines: Machine[] }
  | { kind: 'bad_fleet'; problem: string };

const partPattern = /^(\d+)x(A100)(?:@(\d+(?:\.\d+)?))?$/;

export function parseFleet(spec: string): FleetOutcome {
  const machines: Machine[] = [];
  for (const part of spec.split('+')) {
    const [, count, hardware, slowness = '1'] = partPattern.exec(part.trim()) ?? [];
    if (hardware === undefined || Number(count) === 0 || Number(slowness) === 0) {
      return bad(
        `"${part}" is not allowed; give countxA100 or countxA100@slowness, e.g. 4xA100+4xA100@3`,
      );
    }
    if (machines.length + Number(count) > maxMachines)
      return bad(`give at most ${maxMachines} machines`);
    for (let one = 0; one < Number(count); one += 1) {
      machines.push({ hardware: 'A100', slowness: Number(slowness) });
    }
  }
  return { kind: 'fleet', machines };
}

function bad(problem: string): FleetOutcome {
  return { kind: 'bad_fleet', problem };
}
