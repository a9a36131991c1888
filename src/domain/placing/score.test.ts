import assert from 'node:assert/strict';
import test from 'node:test';
import { seededRandom } from '../../lib/random.ts';
import { InstanceLoad, type Order } from './instanceLoad.ts';
import { nothingHeld } from './prefixIndex.ts';
import { LatencyModel } from '../prediction/latencyModel.ts';
import { scoreOf, takeBest, type Scored } from './score.ts';

const order: Order = {
  prompt: 4000,
  own: 4000,
  expected: nothingHeld,
  answer: 100,
  streams: true,
};

/** Learned from a machine that computes so many tokens of prompts in a ms. */
function learned(tokensPerMs: number): InstanceLoad {
  const model = new LatencyModel(null);
  const random = seededRandom(4);
  for (let n = 0; n < 100; n += 1) {
    const own = 100 + 8000 * random.float();
    const ahead = n % 2 === 0 ? 0 : 4000 * random.float();
    const measuredMs = 20 + (own + ahead) / tokensPerMs;
    const pairs = { aheadPairs: 0, ownPairs: own * own };
    const load = { ahead, own, ...pairs, running: 2, held: 5000 };
    model.learnTtft(load, { measuredMs, predicted: null });
    model.learnTpot({ running: 2, held: 5000 }, 160 / tokensPerMs);
  }
  return new InstanceLoad(model, null);
}

const at = (load: InstanceLoad, over: { nearness?: 'near' | 'far'; order?: Partial<Order> } = {}) =>
  scoreOf(load, {
    load,
    order: { ...order, ...over.order },
    nearness: over.nearness ?? 'same',
    slots: 8,
    nowMs: 0,
  });
const random = seededRandom(2);
/** The one that is taken nearly always. */
const taken = (scored: Scored<InstanceLoad>[]): InstanceLoad | undefined => {
  const counts = new Map<InstanceLoad | undefined, number>();
  for (let n = 0; n < 30; n += 1) {
    const best = takeBest(scored, random)?.item;
    counts.set(best, (counts.get(best) ?? 0) + 1);
  }
  return [...counts].find(([, count]) => count > 25)?.[0];
};

test('a slow machine is taken for an equal of a fast one', () => {
  const [fast, slow] = [learned(16), learned(5)];
  assert.equal(taken([at(slow), at(fast)]), fast);
  // Until the fast one has so much to do that the slow one is sooner done.
  fast.dispatch({ ...order, own: 12_000 }, 0);
  assert.equal(taken([at(slow), at(fast)]), slow);
});

test('long answers are spread until no machine has room for the next one', () => {
  const machine = learned(8);
  const decodeOf = (answer: number): number => at(machine, { order: { answer } }).decodeMs;
  assert.ok(decodeOf(75) > 0);
  assert.ok(Math.abs(decodeOf(150) - 2 * decodeOf(75)) < 1e-9);
  assert.equal(decodeOf(5000), decodeOf(150));
});

test('what is cached outweighs any load', () => {
  const [holder, idle] = [learned(16), learned(16)];
  const cached = { order: { own: 200 } };
  assert.equal(taken([at(holder, cached), at(idle)]), holder);
  for (let n = 0; n < 3; n += 1) holder.dispatch({ ...order, own: 4000 }, 0);
  assert.equal(taken([at(holder, cached), at(idle)]), idle, 'load has a veto over affinity');
});

test('a request leaves its region for nothing, or stays in it at any price', () => {
  const [here, there] = [learned(16), learned(16)];
  assert.equal(taken([at(here), at(there, { nearness: 'far' })]), here);
  here.dispatch({ ...order, own: 8000 }, 0);
  assert.equal(taken([at(here), at(there, { nearness: 'far' })]), there);
});

test('where one machine is not known, times are compared with what are no times', () => {
  const [known, unknown] = [learned(16), new InstanceLoad(new LatencyModel(null), null)];
  known.dispatch({ ...order, own: 9000 }, 0);
  assert.equal(taken([at(known), at(unknown)]), unknown);
});

test('a machine with few samples is never tried while another one looks better', () => {
  const [known, rare] = [learned(16), learned(5)];
  const scored = [
    { ...at(known), samples: 1000 },
    { ...at(rare), samples: 10 },
  ];
  let tried = 0;
  const seeded = seededRandom(3);
  for (let n = 0; n < 3000; n += 1) if (takeBest(scored, seeded)?.item === rare) tried += 1;
  assert.ok(tried > 10 && tried < 60, `${tried}`);
});

test('ties always go to the same one', () => {
  const all = [learned(16), learned(16), learned(16)].map((load) => at(load));
  const seen = new Set(Array.from({ length: 60 }, () => takeBest(all, random)?.item));
  assert.equal(seen.size, 3);
  assert.equal(takeBest([], random), undefined);
});
