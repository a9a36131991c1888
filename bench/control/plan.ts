/** What the bench `control` is asked to do. */
import { parseArgs } from 'node:util';
import type { SeedPlan } from './seed.ts';

export const controlHelp = `bench control: with a large database, the start of a server, its
lists and creations, and how soon the data plane hears of a change
  --json            one line of JSON on standard output at the end
  --quick           small: 2,000 agents, 2,000 keys, 20,000 requests, 20 samples, one start
  --agents N        agents (100000)
  --keys N          API keys (100000)
  --usage N         finished requests (1000000)
  --samples N       calls of each kind (300)
  --starts N        starts (3)
  --databases LIST  sqlite, postgres (both)
`;

export const databaseNames = ['sqlite', 'postgres'] as const;
export type DatabaseName = (typeof databaseNames)[number];

export interface ControlPlan extends SeedPlan {
  quick: boolean;
  samples: number;
  starts: number;
  databases: DatabaseName[];
}

export function controlPlan(args: readonly string[]): ControlPlan {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean' },
      quick: { type: 'boolean', default: false },
      agents: text,
      keys: text,
      usage: text,
      samples: text,
      starts: text,
      databases: { type: 'string', default: databaseNames.join() },
    },
  });
  const { quick } = values;
  const number = (given: string | undefined, usual: { quick: number; full: number }): number =>
    given === undefined ? usual[quick ? 'quick' : 'full'] : Number(given);
  return {
    quick,
    agents: number(values.agents, { quick: 2_000, full: 100_000 }),
    apiKeys: number(values.keys, { quick: 2_000, full: 100_000 }),
    usageRows: number(values.usage, { quick: 20_000, full: 1_000_000 }),
    samples: number(values.samples, { quick: 20, full: 300 }),
    starts: number(values.starts, { quick: 1, full: 3 }),
    databases: values.databases.split(',').map(databaseName),
  };
}

function databaseName(text: string): DatabaseName {
  const name = databaseNames.find((one) => one === text);
  if (name === undefined) throw new Error(`--databases: there is no '${text}'`);
  return name;
}
