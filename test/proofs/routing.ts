/**
 * `npm run proofs -- routing --mooncake FILE --azure FILE`: the product's scheduler against every
 * published rule, in the simulator: light and heavy load, unlike machines, a tenant that floods.
 * All but the last is run once more on a drawn trace that nobody has published, and on each
 * `--trace FILE`, at speeds that load the fleet as the first does. Without files only the drawn one
 * is run. Takes about 20 minutes; `npm test` runs a short version.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { policyNames, type PolicyName } from '../../src/sim/policies/policyNames.ts';
import { drawnTrace } from '../../src/testing/routingProof/drawnTrace.ts';
import {
  floodChecks,
  idleChecks,
  lightChecks,
  mixedChecks,
  overloadChecks,
  starvationChecks,
  type Check,
} from '../../src/testing/routingProof/routingChecks.ts';
import { SimulatedRuns } from '../../src/testing/routingProof/simulatedRuns.ts';

const fleet = '8xA100';
const mixedFleet = '4xA100+4xA100@3';
/**
 * How a trace is brought to the speed that loads the fleet as Mooncake's conversation does at its
 * own: this rule then waits so long, in s.
 */
const usualRule = 'least-requests';
const usualTtftMean = 3.85;

/** All but the product's own. */
const ruleNames = policyNames.filter((name: string) => name !== 'xim');

/** Speeds beyond it are not looked at. */
const fastest = 1024;

/** The speed of the Azure conversation at which it is compared, and what floods are drawn from. */
const azureSpeed = 7;
/** Two that always wait, one that runs a little, and one that comes after ten minutes. */
const idle = { fleet: '4xA100', cap: 128, tenants: '2@40,1@0.2:0-600,1@40:600-900' };
const flood = { fleet: '4xA100', cap: 128, steady: '5@2', flooder: [80, 120, 200] };

/** The least share under 5 s that is asked of a published trace in overload. */
const leastShare = 0.78;

interface Loaded {
  name: string;
  file: string;
  /** At which it loads the fleet as usual. */
  speed: number;
  published: boolean;
}

export async function prove(
  args: string[],
): Promise<{ passed: boolean; checks: Check[] } & Record<string, unknown>> {
  const { values } = parseArgs({
    args,
    options: {
      mooncake: { type: 'string' },
      azure: { type: 'string' },
      trace: { type: 'string', multiple: true, default: [] },
      seeds: { type: 'string', default: '1,2,3' },
      policy: { type: 'string', default: 'xim' },
      rules: { type: 'string', default: ruleNames.join(',') },
      drawn: { type: 'string', default: '12000' },
    },
  });
  const folder = mkdtempSync(path.join(tmpdir(), 'xim-routing-'));
  try {
    const runs = new SimulatedRuns({
      seeds: values.seeds.split(',').map(Number),
      tell: (line) => void process.stderr.write(`${line}\n`),
    });
    const compared = {
      runs,
      ours: values.policy as PolicyName,
      rules: values.rules.split(',') as PolicyName[],
    };
    const { mooncake, azure } = values;
    const traces: Loaded[] = [
      ...(mooncake === undefined
        ? []
        : [{ name: 'mooncake', file: mooncake, speed: 1, published: true }]),
      drawn(folder, Number(values.drawn)),
      ...values.trace.map((file) => loaded(file, { published: false })),
    ];
    const checks = traces.flatMap((trace) => checksOf(compared, trace));
    if (azure !== undefined) {
      const setting = { trace: azure, fleet, speed: azureSpeed };
      checks.push(...lightChecks(compared, 'azure, light', setting));
      checks.push(...floodChecks(compared, { ...flood, trace: azure }));
      checks.push(...idleChecks(compared, { ...idle, trace: azure }));
    }
    return { passed: checks.every(({ passed }) => passed), seeds: values.seeds, checks };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function checksOf(compared: Parameters<typeof lightChecks>[0], of: Loaded): Check[] {
  const { name, file, speed, published } = of;
  const at = (factor: number) => ({ trace: file, fleet, speed: speed * factor });
  const share = { leastShare: published ? leastShare : null };
  return [
    ...lightChecks(compared, `${name}, light`, at(1)),
    ...overloadChecks(compared, `${name}, 1.3 ×`, { setting: at(1.3), ...share }),
    ...overloadChecks(compared, `${name}, 1.5 ×`, { setting: at(1.5), ...share }),
    ...starvationChecks(compared, `${name}, 1.3 × without a deadline`, at(1.3)),
    ...mixedChecks(compared, `${name}, mixed`, { ...at(0.7), fleet: mixedFleet }),
  ];
}

function drawn(folder: string, requests: number): Loaded {
  const file = path.join(folder, 'drawn.jsonl');
  writeFileSync(file, drawnTrace({ requests, perS: 1, seed: 11 }));
  return loaded(file, { published: false });
}

/** At the speed that loads the fleet as usual, by halving the span in which it lies. */
function loaded(file: string, { published }: { published: boolean }): Loaded {
  const probe = new SimulatedRuns({ seeds: [1], tell: () => {} });
  const waits = (speed: number): number =>
    probe.figures(usualRule, { trace: file, fleet, speed }).ttftMean;
  let [low, high] = [1, 1];
  while (waits(low) > usualTtftMean) low /= 2;
  while (waits(high) < usualTtftMean && high < fastest) high *= 2;
  for (let halving = 0; halving < 6; halving += 1) {
    const middle = Math.sqrt(low * high);
    if (waits(middle) < usualTtftMean) low = middle;
    else high = middle;
  }
  return { name: path.basename(file, '.jsonl'), file, speed: low, published };
}
