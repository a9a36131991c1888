/** Samples of agents' health. */
import assert from 'node:assert/strict';
import { healthMeasureNames, type HealthSample } from '../../domain/agents/agentHealth.ts';
import { startMs } from '../database/storeRows.ts';
import type { StoreCases } from './storeCases.ts';

const unknown = Object.fromEntries(healthMeasureNames.map((name) => [name, null]));

function sample(agentId: string, atMs: number, over: Partial<HealthSample> = {}): HealthSample {
  return { ...(unknown as Omit<HealthSample, 'agentId' | 'atMs'>), agentId, atMs, ...over };
}

export const healthCases: StoreCases = {
  'a sample loses a number, mixes two up or comes back as 0': async ({ store }) => {
    const whole = Object.fromEntries(healthMeasureNames.map((name, at) => [name, at + 0.25]));
    const known = { ...sample('agent-1', startMs), ...whole };
    const vast = sample('agent-1', startMs + 1, { diskTotalBytes: 2 ** 52, temperatureC: -3.5 });
    await store.recordHealth([known, vast]);
    const all = { agentId: 'agent-1', fromMs: 0, limit: 10 };
    assert.deepEqual(await store.healthOf(all), [known, vast]);
  },

  'samples of one agent are another’s, too old, too many or in another order': async ({
    store,
  }) => {
    // More than one statement takes.
    const batch = Array.from({ length: 1_200 }, (_none, at) =>
      sample(at % 2 === 0 ? 'agent-1' : 'agent-2', startMs + at, { inFlight: at }),
    );
    await store.recordHealth(batch);
    await store.recordHealth([sample('agent-1', startMs, { inFlight: 99 })]);
    await store.recordHealth([]);
    const read = async (fromMs: number, limit: number): Promise<number[]> => {
      const found = await store.healthOf({ agentId: 'agent-1', fromMs, limit });
      return found.map(({ inFlight }) => inFlight ?? -1);
    };
    assert.deepEqual(await read(startMs, 3), [1194, 1196, 1198], 'the last ones');
    assert.deepEqual(await read(startMs + 1_197, 10), [1198]);
    assert.equal((await read(startMs, 1_000))[0], 0, 'a second one of the moment changes nothing');
  },

  'samples are kept for ever, or fresh ones go with the old': async ({ store }) => {
    const batch = Array.from({ length: 100 }, (_none, at) => sample(`agent-${at}`, startMs + at));
    await store.recordHealth(batch);
    await store.recordHealth([sample('agent-x', startMs + 9)]);
    const forget = (limit: number) => store.deleteOldHealth({ beforeMs: startMs + 20, limit });
    assert.equal(await forget(10), 11, 'those of one moment go together');
    assert.equal(await forget(1_000), 10);
    assert.equal(await forget(1_000), 0);
    const kept = await store.healthOf({ agentId: 'agent-20', fromMs: 0, limit: 10 });
    assert.equal(kept.length, 1);
  },
};
