import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../lib/log.ts';
import { seededRandom } from '../../lib/random.ts';
import type { DesiredModel } from '../../protocol/messages/routerControl.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import type {
  Engine,
  EngineOffer,
  EnsureOutcome,
  LoadOutcome,
  ModelEnsurer,
} from '../engines/engine.ts';
import { ModelKeeper } from './modelKeeper.ts';

const model = (modelId: string, more: Partial<DesiredModel> = {}): DesiredModel => ({
  modelId,
  name: `name of ${modelId}`,
  source: `hf:x/${modelId}`,
  format: 'gguf',
  task: 'generate',
  sizeBytes: null,
  sha256: null,
  contextLength: null,
  ...more,
});

interface Rig {
  clock: FakeClock;
  keeper: ModelKeeper;
  calls: string[];
  stages: string[];
  /** Answers of the next calls, by model; `ready` when there are none. */
  ensure: Map<string, EnsureOutcome[]>;
  load: Map<string, LoadOutcome[]>;
  /** The engine loses a model by itself. */
  lose: (modelId: string) => void;
  wish: (...models: DesiredModel[]) => Promise<void>;
}

/** A keeper over a cache and an engine that do as they are told. */
function rig(): Rig {
  const clock = new FakeClock();
  const calls: string[] = [];
  const stages: string[] = [];
  const ensure: Rig['ensure'] = new Map();
  const load: Rig['load'] = new Map();
  const offers = new Map<string, EngineOffer>();
  const engine = {
    kind: 'embedded',
    needsFiles: true,
    offers: () => [...offers.values()],
    load: async ({ desired: { modelId } }: { desired: DesiredModel }) => {
      calls.push(`load ${modelId}`);
      const outcome = load.get(modelId)?.shift() ?? { kind: 'ready' };
      if (outcome.kind === 'ready') {
        const offer = { instance: `i-${modelId}`, modelId, slots: 1, engine: 'x', abilities: [] };
        offers.set(modelId, offer);
        keeper.onOffersChange();
      }
      return outcome;
    },
    unload: async (modelId: string) => {
      calls.push(`unload ${modelId}`);
      offers.delete(modelId);
      keeper.onOffersChange();
    },
  };
  const ensurer = {
    ensure: async ({ modelId }: DesiredModel, { signal }: { signal: AbortSignal }) => {
      calls.push(`fetch ${modelId}`);
      await new Promise(setImmediate);
      if (signal.aborted) return { kind: 'cancelled' };
      return ensure.get(modelId)?.shift() ?? { kind: 'ready', path: '/m', sha256: 'x' };
    },
    setInUse: (ids: readonly string[]) => calls.push(`in use ${ids.join(',')}`),
  };
  const keeper = new ModelKeeper({
    engine: engine as unknown as Engine,
    ensurer: ensurer as unknown as ModelEnsurer,
    clock,
    random: seededRandom(1),
    log: silentLogger,
    onStage: ({ desired, stage }) => stages.push(`${desired.modelId} ${stage.kind}`),
  });
  const wish = async (...models: DesiredModel[]): Promise<void> => {
    keeper.configure({ models, maxConcurrentRequests: 0 });
    await clock.advanceAsync(0);
    await clock.advanceAsync(0);
    await clock.advanceAsync(0);
  };
  const lose = (modelId: string): void => {
    offers.delete(modelId);
    keeper.onOffersChange();
  };
  return { clock, keeper, calls, stages, ensure, load, lose, wish };
}

const states = (keeper: ModelKeeper): string[] =>
  keeper.states().map(({ modelId, state }) => `${modelId} ${state}`);

test('a wished model is not fetched, loaded and told of, in this order', async () => {
  const { wish, calls, stages, keeper } = rig();
  await wish(model('a'));
  assert.deepEqual(calls, ['in use a', 'fetch a', 'load a']);
  assert.deepEqual(stages.slice(0, 2), ['a fetching', 'a loading']);
  assert.ok(stages.slice(2).every((stage) => stage === 'a ready'));
  assert.deepEqual(states(keeper), ['a ready']);
});

test('models are fetched all at once, or not in the order of the wishes', async () => {
  const { wish, calls } = rig();
  await wish(model('a'), model('b'), model('c'));
  assert.deepEqual(calls.slice(1), ['fetch a', 'load a', 'fetch b', 'load b', 'fetch c', 'load c']);
});

test('a model that is wished again is loaded again', async () => {
  const { wish, calls } = rig();
  await wish(model('a'));
  await wish(model('a'), model('b'));
  assert.equal(calls.filter((call) => call === 'load a').length, 1);
});

test('a model that nobody wishes for stays loaded', async () => {
  const { wish, calls, keeper } = rig();
  await wish(model('a'));
  await wish(model('b'));
  assert.ok(calls.includes('unload a'));
  assert.deepEqual(states(keeper), ['b ready']);
});

test('an engine that comes back offers what nobody wishes for any more', async () => {
  const { wish, calls, load } = rig();
  load.set('a', [{ kind: 'failed', message: 'the engine is down', retry: true }]);
  await wish(model('a'));
  await wish(model('b'));
  assert.ok(calls.includes('unload a'), 'the engine still knows of it');
});

test('a wish that was taken back is still fetched', async () => {
  const { wish, calls, keeper } = rig();
  keeper.configure({ models: [model('a')], maxConcurrentRequests: 0 });
  await wish(model('b'));
  assert.ok(!calls.includes('load a'));
  assert.deepEqual(states(keeper), ['b ready']);
});

test('a failure that time may cure is final, or tried without a pause', async () => {
  const { wish, calls, clock, ensure, keeper } = rig();
  const failed: EnsureOutcome = { kind: 'failed', tried: ['hub: no'], message: 'no', retry: true };
  ensure.set('a', [failed, failed]);
  await wish(model('a'), model('b'));
  assert.deepEqual(states(keeper), ['a failed', 'b ready']);
  assert.equal(keeper.states()[0]?.error, 'no hub: no', 'its owner reads what was tried');
  assert.equal(calls.filter((call) => call === 'fetch a').length, 1);
  await clock.advanceAsync(120_000);
  assert.equal(calls.filter((call) => call === 'fetch a').length, 3);
  assert.deepEqual(states(keeper), ['a ready', 'b ready']);
});

test('a failure that time will not cure is tried again and again', async () => {
  const { wish, calls, clock, load, keeper } = rig();
  load.set('a', [{ kind: 'failed', message: 'not a model', retry: false }]);
  await wish(model('a'));
  await clock.advanceAsync(600_000);
  assert.equal(calls.filter((call) => call === 'load a').length, 1);
  assert.equal(keeper.states()[0]?.error, 'not a model');
  assert.equal(clock.pendingTimers, 0);
});

test('a model that the engine lost stays lost', async () => {
  const { wish, calls, clock, keeper, lose } = rig();
  await wish(model('a'));
  lose('a');
  assert.notEqual(keeper.states()[0]?.state, 'ready');
  await clock.advanceAsync(10_000);
  assert.equal(calls.filter((call) => call === 'load a').length, 2);
  assert.deepEqual(states(keeper), ['a ready']);
});

test('another file under the same id is not loaded', async () => {
  const { wish, calls, clock } = rig();
  await wish(model('a'));
  await wish(model('a', { source: 'hf:x/new' }));
  await clock.advanceAsync(5_000);
  assert.deepEqual(calls.slice(3), ['in use a', 'fetch a', 'unload a', 'load a']);
});

test('a model that is of another source, format or task stays what it was', async () => {
  const changes: Partial<DesiredModel>[] = [
    { source: 'hf:x/other' },
    { format: 'safetensors' },
    { task: 'embed' },
  ];
  for (const change of changes) {
    const { wish, calls } = rig();
    await wish(model('a'));
    await wish(model('a', change));
    assert.equal(calls.filter((call) => call === 'fetch a').length, 2, JSON.stringify(change));
  }
});

test('a stopped keeper goes on', async () => {
  const { keeper, calls, wish } = rig();
  keeper.stop();
  await wish(model('a'));
  assert.deepEqual(calls, []);
});
