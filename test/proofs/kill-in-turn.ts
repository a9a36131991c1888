/**
 * Kills agents with -9 several times in a row, at moments of their joining that a seed chooses:
 * `npm run proofs -- kill-in-turn --seconds 600 --seed 1`. `npm test` has a few such rows.
 */
import { parseArgs } from 'node:util';
import { randomInt, seededRandom, type Random } from '../../src/lib/random.ts';
import { KilledJoining } from '../../src/testing/database/killedJoining.ts';
import type { KillMoment } from '../../src/testing/database/killMoment.ts';
import { endLeftovers } from '../../src/testing/processes/processes.ts';

const defaultSeconds = '120';
/** An agent that nobody kills serves within this. */
const longestMs = 1_500;
const mostKills = 5;

type Figures = { passed: boolean } & Record<string, unknown>;

export async function prove(args: string[]): Promise<Figures> {
  const { values } = parseArgs({
    args,
    options: { seconds: { type: 'string', default: defaultSeconds }, seed: { type: 'string' } },
  });
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const random = seededRandom(seed);
  const endAtMs = Date.now() + Number(values.seconds) * 1000;
  const figures = { seed, machines: 0, kills: 0 };
  const rig = await KilledJoining.open();
  try {
    while (Date.now() < endAtMs) {
      const moments = Array.from({ length: 1 + randomInt(random, mostKills) }, () =>
        anyMoment(random),
      );
      await rig.runInTurn(moments).catch((error: Error) => {
        throw new Error(`${error.message} after ${JSON.stringify(moments)}`, { cause: error });
      });
      figures.machines += 1;
      figures.kills += moments.length;
    }
    return { passed: figures.machines > 0, ...figures };
  } catch (error) {
    return { passed: false, ...figures, error: (error as Error).message };
  } finally {
    await rig.close();
    endLeftovers();
  }
}

function anyMoment(random: Random): KillMoment {
  if (random.float() < 0.5) return { kind: 'time', afterMs: random.float() * longestMs };
  return { kind: 'file', change: 1 + randomInt(random, 12) };
}
