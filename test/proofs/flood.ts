/**
 * `npm run proofs -- flood`: one project floods the shared agents, and another one does not feel
 * it: server, agents and engines as processes. The calm phase has the machines busy already.
 */
import { parseArgs } from 'node:util';
import { runFlood, type FloodReport } from '../../src/testing/flood/flood.ts';
import { atLeast, atMost, type Check } from '../../src/testing/routingProof/routingChecks.ts';

/** What a busy machine adds by itself, in ms. */
const noiseMs = 30;

export async function prove(
  args: string[],
): Promise<{ passed: boolean; checks: Check[] } & FloodReport> {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: 'string', default: '40' },
      seed: { type: 'string', default: '1' },
      steady: { type: 'string', default: '2' },
      calm: { type: 'string', default: '20' },
      flood: { type: 'string', default: '80' },
    },
  });
  const [seconds, seed] = [Number(values.seconds), Number(values.seed)];
  const perS = { steadyPerS: Number(values.steady), calmPerS: Number(values.calm) };
  const report = await runFlood({ seconds, seed, ...perS, floodPerS: Number(values.flood) });
  const { calm, flood } = report;
  const checks = [
    atMost('failed of the one that goes on', { value: flood.steady.failed, limit: 0 }),
    atMost('its p99 to the first byte', {
      value: flood.steady.ttft_p99,
      limit: 1.2 * calm.steady.ttft_p99 + noiseMs,
    }),
    atMost('its p50 against the flooder’s', {
      value: flood.steady.ttft_p50,
      limit: 0.1 * flood.flooder.ttft_p50,
    }),
    atLeast('answers a second', {
      value: flood.answers_per_s,
      limit: 0.95 * calm.answers_per_s,
    }),
  ];
  return { passed: checks.every(({ passed }) => passed), checks, ...report };
}
