/** U3: an engine that breaks off what an agent asks of it, as one does that starts or ends. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { systemRandom } from '../../lib/random.ts';
import { engineBody } from '../../testing/engines/engineBody.ts';
import {
  startFakeEngine,
  type FakeEngine,
  type FakeEngineOptions,
} from '../../testing/engines/fakeEngine.ts';
import { until } from '../../testing/until.ts';
import { maxBrokenProbes } from '../limits.ts';
import type { EngineOffer } from './engine.ts';
import { UrlEngine } from './url.ts';
import { parseEngineUrl } from './urlAddress.ts';

const desired = {
  modelId: 'model_1',
  name: 'fake-model',
  source: 'hf:x/y',
  format: 'gguf',
  task: 'generate',
  sizeBytes: null,
  sha256: null,
  contextLength: null,
} as const;

/** Before an engine that continues answers, and cuts some of what it is asked. */
async function attach(
  t: TestContext,
  cutProbes: FakeEngineOptions['cutProbes'],
): Promise<{
  fake: FakeEngine;
  offer: () => EngineOffer | undefined;
  isWhole: () => boolean;
  failOne: () => Promise<unknown>;
}> {
  const fake = await startFakeEngine({ continues: true, ...(cutProbes && { cutProbes }) });
  const parsed = parseEngineUrl(fake.url);
  assert.equal(parsed.kind, 'ok');
  const engine = new UrlEngine({
    address: parsed.address,
    apiKey: null,
    serve: new Map(),
    slots: null,
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
  });
  t.after(async () => {
    await engine.stop();
    await fake.close();
  });
  await engine.start(new AbortController().signal);
  await engine.load({ desired, file: undefined, maxSlots: 0 });
  const offer = (): EngineOffer | undefined => engine.offers()[0];
  const isWhole = (): boolean => offer()?.abilities.includes('continue') === true;
  // It is probed again as soon as it fails a request.
  const failOne = (): Promise<unknown> => {
    const content = `fake:${JSON.stringify({ fault: 'malformed', after: 0 })}`;
    const request = {
      requestId: 'req_1',
      instance: offer()?.instance ?? 'none',
      path: '/v1/chat/completions',
      ...engineBody({ messages: [{ role: 'user', content }] }),
      stream: true,
      cacheSalt: undefined,
    };
    const sink = { write: () => true, writable: () => Promise.resolve() };
    return engine.run(request, sink, new AbortController().signal);
  };
  return { fake, offer, isWhole, failOne };
}

test('an engine that was cut off while it was asked cannot chat for ever', async (t) => {
  const { offer, isWhole } = await attach(t, { times: 3 });
  // Who would be served by it waits, and is not told that nobody can.
  assert.equal(offer(), undefined);
  await until(isWhole);
  assert.deepEqual(offer()?.abilities, ['chat', 'continue']);
});

test('an engine that breaks off again and again serves nothing, or never chats', async (t) => {
  const { offer, isWhole } = await attach(t, { times: 3 * (maxBrokenProbes + 1) });
  await until(() => offer() !== undefined);
  const first = offer();
  assert.deepEqual(first?.abilities, []);
  await until(isWhole);
  assert.deepEqual(offer()?.abilities, ['chat', 'continue']);
  assert.equal(offer()?.instance, first?.instance);
});

test('what an engine can beyond text is never found out after it was cut off', async (t) => {
  const { fake, offer, isWhole, failOne } = await attach(t, { times: 9, after: 3 });
  const first = offer();
  assert.deepEqual(first?.abilities, ['chat']);
  await until(async () => {
    await failOne();
    return isWhole();
  });
  assert.equal(offer()?.instance, first?.instance);
  const { probes } = fake.stats();
  for (let n = 0; n < 5; n += 1) await failOne();
  assert.ok(fake.stats().probes <= probes + 1, 'it is asked for what it has answered');
});
