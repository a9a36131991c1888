/**
 * `--faults SPEC`: `2@600-660` takes machine 2 away from 600 to 660 s, with all that it runs and
 * holds in its cache; `3@100-200:4` makes machine 3 four times slower in that time.
 */
export interface Fault {
  /** From 1, in the order of the fleet. */
  machine: number;
  fromS: number;
  toS: number;
  /** How many times slower it is; null: it is away. */
  slowdown: number | null;
}

export type FaultsOutcome =
  | { kind: 'faults'; faults: Fault[] }
  | { kind: 'bad_faults'; problem: string };

const partPattern = /^(\d+)@(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)(?::(\d+(?:\.\d+)?))?$/;

/** Faults of one machine may not overlap. */
export function parseFaults(spec: string, fleet: { machines: number }): FaultsOutcome {
  const faults: Fault[] = [];
  for (const part of spec.split(',')) {
    const [, machine, from, to, slowdown] = partPattern.exec(part.trim()) ?? [];
    if (machine === undefined || Number(slowdown ?? 1) === 0) {
      return bad(`"${part}" is not allowed; give machine@from-to or machine@from-to:slowdown`);
    }
    const fault: Fault = {
      machine: Number(machine),
      fromS: Number(from),
      toS: Number(to),
      slowdown: slowdown === undefined ? null : Number(slowdown),
    };
    if (fault.machine < 1 || fault.machine > fleet.machines) {
      return bad(`"${part}": the fleet has machines 1 to ${fleet.machines}`);
    }
    if (fault.toS <= fault.fromS) return bad(`"${part}": it has to end after its start`);
    if (faults.some((other) => overlap(other, fault))) {
      return bad(`"${part}": machine ${machine} has another fault at that time`);
    }
    faults.push(fault);
  }
  return { kind: 'faults', faults };
}

function bad(problem: string): FaultsOutcome {
  return { kind: 'bad_faults', problem };
}

function overlap(one: Fault, other: Fault): boolean {
  return one.machine === other.machine && one.fromS < other.toS && other.fromS < one.toS;
}
