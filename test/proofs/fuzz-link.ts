/**
 * Fuzzes both ends of a link for as long as it is told: `npm run proofs -- fuzz-link --seconds 600
 * --seed 1`. `npm test` runs 2,000 rounds of the same.
 */
import { parseArgs } from 'node:util';
import { fuzzLink, type FuzzReport } from '../../src/testing/links/linkFuzz.ts';

const defaultSeconds = '60';

export async function prove(
  args: string[],
): Promise<{ passed: boolean } & Partial<FuzzReport> & Record<string, unknown>> {
  const { values } = parseArgs({
    args,
    options: { seconds: { type: 'string', default: defaultSeconds }, seed: { type: 'string' } },
  });
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const endAtMs = Date.now() + Number(values.seconds) * 1000;
  try {
    const report = await fuzzLink({ seed, rounds: Infinity, until: () => Date.now() > endAtMs });
    return { passed: report.rounds > 0, ...report };
  } catch (error) {
    console.error(error);
    return { passed: false, seed };
  }
}
