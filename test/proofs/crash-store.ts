/**
 * Kills a server under load with -9, at moments that a seed chooses and right behind commits, on
 * both databases: `npm run proofs -- crash-store --rounds 40 --seed 1`. `npm test` has two rounds
 * on each.
 */
import { parseArgs } from 'node:util';
import { randomInt, seededRandom } from '../../src/lib/random.ts';
import { CrashedServer } from '../../src/testing/crashStore/crashedServer.ts';
import type { CrashMoment } from '../../src/testing/crashStore/crashedServer.ts';
import { startPostgres } from '../../src/testing/database/postgres.ts';
import { endLeftovers } from '../../src/testing/processes/processes.ts';

/** On each database. */
const defaultRounds = '40';
const longestLifeMs = 2_500;
const latestCommit = 120;

type Figures = { passed: boolean } & Record<string, unknown>;

export async function prove(args: string[]): Promise<Figures> {
  const { values } = parseArgs({
    args,
    options: { rounds: { type: 'string', default: defaultRounds }, seed: { type: 'string' } },
  });
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const rounds = Number(values.rounds);
  const postgres = await startPostgres();
  try {
    const sqlite = await crashAgain({ seed, rounds });
    const on = postgres.kind === 'started' ? await postgres.createDatabase() : undefined;
    const server =
      on === undefined ? { skipped: true } : await crashAgain({ seed, rounds, databaseUrl: on });
    const passed = sqlite['error'] === undefined && server['error'] === undefined;
    return { passed, seed, rounds, sqlite, postgres: server };
  } finally {
    endLeftovers();
    if (postgres.kind === 'started') await postgres.stop();
  }
}

async function crashAgain(options: {
  seed: number;
  rounds: number;
  databaseUrl?: string;
}): Promise<Record<string, unknown>> {
  const random = seededRandom(options.seed);
  const rig = await CrashedServer.open(options.databaseUrl);
  let last: CrashMoment | undefined;
  let crashes = 0;
  try {
    for (let round = 0; round < options.rounds; round += 1) {
      last =
        round % 2 === 0
          ? { kind: 'time', afterMs: 50 + randomInt(random, longestLifeMs) }
          : { kind: 'commit', number: 1 + randomInt(random, latestCommit) };
      await rig.crash(last);
      crashes += 1;
    }
    return { crashes, ...rig.ledger.counts() };
  } catch (error) {
    const { message } = error as Error;
    return { crashes, ...rig.ledger.counts(), error: message, at: last };
  } finally {
    await rig.close();
  }
}
