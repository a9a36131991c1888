/**
 * `npm run bench -- control`: what a large database costs. On each database a server starts once,
 * its tables are filled, and it starts again, several times; then its lists are read, things are
 * made and taken away, over HTTP as clients do it.
 *
 * Parts: `control/plan.ts` (arguments), `seed.ts` and `benchDatabase.ts` (the databases),
 * `lists.ts`, `changes.ts` with `joinedAgent.ts` (what is measured), `report.ts`.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { endLeftovers, repository } from '../src/testing/processes/processes.ts';
import {
  startServerProcess,
  temporaryDirectory,
  type ServerProcess,
} from '../src/testing/processes/serverProcess.ts';
import { openBenchDatabase, type BenchDatabase } from './control/benchDatabase.ts';
import { measureChanges } from './control/changes.ts';
import { measureLists } from './control/lists.ts';
import { controlPlan, type ControlPlan, type DatabaseName } from './control/plan.ts';
import {
  controlLines,
  controlReport,
  type ControlReport,
  type ControlRun,
} from './control/report.ts';
import { TimedClient } from './control/timedClient.ts';
import { residentMiB } from './machine/cpuTime.ts';
import { machineFacts } from './machine/facts.ts';

type Tell = (text: string) => void;

/** Runs the bench. `tell` gets lines for a person. */
export async function controlBench(args: readonly string[], tell: Tell): Promise<ControlReport> {
  const plan = controlPlan(args);
  const machine = machineFacts();
  const runs: ControlRun[] = [];
  try {
    for (const name of plan.databases) runs.push(await runOn(name, { plan, tell }));
  } finally {
    endLeftovers();
  }
  const report = controlReport(runs, { plan, machine });
  for (const text of controlLines(report)) tell(text);
  return report;
}

async function runOn(
  name: DatabaseName,
  { plan, tell }: { plan: ControlPlan; tell: Tell },
): Promise<ControlRun> {
  const base = await temporaryDirectory('control');
  const dataDir = path.join(base.path, 'data');
  const database = await openBenchDatabase(name, dataDir);
  try {
    const start = (): Promise<ServerProcess> => startServer(dataDir, database);
    tell(`${name}: filling the database`);
    await (await start()).end();
    const seedMs = await timed(() => database.seed(plan));
    tell(`${name}: starting the server`);
    const startMs: number[] = [];
    const readyMiB: number[] = [];
    let server: ServerProcess | undefined;
    for (let number = 0; number < plan.starts; number += 1) {
      await server?.end();
      startMs.push(await timed(async () => void (server = await start())));
      readyMiB.push(residentMiB([pidOf(server)]));
    }
    tell(`${name}: measuring`);
    const measured = await measure(server as ServerProcess, { database, plan });
    const peakMiB = peakOf(pidOf(server));
    await server?.end();
    return { database: name, seedMs, startMs, readyMiB, peakMiB, ...measured };
  } finally {
    await database.close();
    await base.remove();
  }
}

async function measure(
  server: ServerProcess,
  { database, plan: { samples } }: { database: BenchDatabase; plan: ControlPlan },
): Promise<Awaited<ReturnType<typeof measureLists>> & Awaited<ReturnType<typeof measureChanges>>> {
  const { server: base, management_key: key } = server.credentials();
  const changing = new TimedClient(base);
  const asking = new TimedClient(base);
  const bare = await database.openBare();
  try {
    const lists = await measureLists(changing, { key, samples, bare });
    const changes = await measureChanges({ base, changing, asking, key }, { samples, bare });
    return { ...lists, ...changes };
  } finally {
    await bare.close();
    changing.close();
    asking.close();
  }
}

/** As `npm start` does, with what was compiled kept; from one address far more is changed. */
function startServer(dataDir: string, { serverArgs }: BenchDatabase): Promise<ServerProcess> {
  return startServerProcess({
    dataDir,
    args: ['--no-agent', '--log-level', 'info', ...serverArgs],
    env: { NODE_COMPILE_CACHE: path.join(repository, 'build', 'compiled') },
  });
}

const pidOf = (server: ServerProcess | undefined): number => server?.ready.pid ?? -1;

/** The most memory that was ever resident, in MiB. */
function peakOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) / 1024;
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}
