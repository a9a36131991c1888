/**
 * `npm run proofs -- storm --requests 5000 --seed 1`: requests in their thousands through the whole
 * path, while everything around them fails; then every slot, record and answer is counted.
 * `npm test` runs a short version.
 */
import { parseArgs } from 'node:util';
import { runStorm, type StormReport } from '../../src/testing/storm/storm.ts';

export async function prove(
  args: string[],
): Promise<{ passed: boolean; why?: string } & Partial<StormReport> & Record<string, unknown>> {
  const { values } = parseArgs({
    args,
    options: {
      requests: { type: 'string', default: '5000' },
      clients: { type: 'string', default: '120' },
      seed: { type: 'string' },
    },
  });
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const [requests, clients] = [Number(values.requests), Number(values.clients)];
  try {
    const report = await runStorm({ seed, requests, clients });
    // Clients have left in each of the four phases, or the storm was none.
    return { passed: Object.values(report.hung_up_in).every((count) => count > 0), ...report };
  } catch (error) {
    return { passed: false, seed, why: (error as Error).message };
  }
}
