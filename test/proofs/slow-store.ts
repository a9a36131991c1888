/**
 * A database that takes five seconds for each write, on both databases, for longer than a token
 * lives: `npm run proofs -- slow-store --seconds 480`. No agent looks disconnected, no token is
 * late, requests notice nothing, and people sign in and machines join all the while.
 */
import { parseArgs } from 'node:util';
import { startPostgres } from '../../src/testing/database/postgres.ts';
import { endLeftovers } from '../../src/testing/processes/processes.ts';
import { SlowServer } from '../../src/testing/slowDatabase/slowServer.ts';
import type { SlowFigures } from '../../src/testing/slowDatabase/slowServer.ts';

/** Agents refresh their tokens after six minutes. */
const defaultSeconds = '480';
const writeMs = 5_000;
const agents = 8;
/** One write before and the own one, and what the program itself takes. */
const longestSignInMs = 12_500;

type Figures = { passed: boolean } & Record<string, unknown>;

export async function prove(args: string[]): Promise<Figures> {
  const { values } = parseArgs({
    args,
    options: { seconds: { type: 'string', default: defaultSeconds } },
  });
  const forMs = Number(values.seconds) * 1000;
  const postgres = await startPostgres();
  try {
    const sqlite = await slowly({ forMs });
    const databaseUrl = postgres.kind === 'started' ? await postgres.createDatabase() : undefined;
    const other = databaseUrl === undefined ? undefined : await slowly({ forMs, databaseUrl });
    const passed = isGood(sqlite) && (other === undefined || isGood(other));
    return { passed, seconds: Number(values.seconds), sqlite, postgres: other ?? 'skipped' };
  } finally {
    endLeftovers();
    if (postgres.kind === 'started') await postgres.stop();
  }
}

async function slowly(options: { forMs: number; databaseUrl?: string }): Promise<SlowFigures> {
  const rig = await SlowServer.open({ agents, databaseUrl: options.databaseUrl });
  try {
    await rig.slowDown(writeMs);
    const endMs = performance.now() + options.forMs;
    for (let turn = 0; performance.now() < endMs; turn += 1) {
      await rig.signIn();
      await rig.enrol(`new-${turn}`);
      await rig.comeBack(`new-${turn}`);
      // An account may not sign in more often than every so often; machines may join.
      await new Promise((resolve) => setTimeout(resolve, 15_000));
    }
    return await rig.finish();
  } finally {
    await rig.close();
  }
}

function isGood(figures: SlowFigures): boolean {
  return (
    figures.notActive === 0 &&
    figures.unlinked === 0 &&
    figures.requests > 0 &&
    figures.failedRequests === 0 &&
    figures.slowestFirstByteMs < writeMs / 2 &&
    figures.signInMs.every((ms) => ms < longestSignInMs)
  );
}
