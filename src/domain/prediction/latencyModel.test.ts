import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { seededRandom, type Random } from '../../lib/random.ts';
import { LatencyModel, pairsOf, type Load } from './latencyModel.ts';
import { priorOf } from './prior.ts';

/** A machine that is as the formula says, with multiplicative noise. */
function machine(options: { slowness?: number; noise?: number; random: Random }) {
  const { slowness = 1, noise = 0, random } = options;
  const truth = ({ ahead, own, aheadPairs, ownPairs, running, held }: Load): number => {
    const prompts = 0.07 * ahead + 0.065 * own + 8e-7 * (aheadPairs + ownPairs);
    return slowness * (20 + prompts + 0.4 * running + held / 10_000);
  };
  const noisy = (load: Load): number => {
    const normal =
      Math.sqrt(-2 * Math.log(1 - random.float())) * Math.cos(2 * Math.PI * random.float());
    return truth(load) * Math.exp(noise * normal);
  };
  const busy = (): Load => {
    const load = uncached({
      ahead: random.float() < 0.3 ? 0 : 8000 * random.float(),
      own: 100 + 16_000 * random.float() ** 3,
      running: Math.floor(60 * random.float()),
      held: 300_000 * random.float(),
    });
    // Half of them go on with what is cached.
    const cached = random.float() < 0.5 ? 0 : 60_000 * random.float();
    return { ...load, ownPairs: pairsOf({ prompt: load.own + cached, own: load.own }) };
  };
  return { truth, noisy, busy };
}

/** A prompt of which nothing is cached, behind short ones. */
const uncached = (load: Omit<Load, 'aheadPairs' | 'ownPairs'>): Load => ({
  ...load,
  aheadPairs: 0,
  ownPairs: load.own * load.own,
});

/** Predicts, then learns; gives the mean relative error and the share below p90 after a warm-up. */
function follow(model: LatencyModel, run: { next: () => Load; measure: (load: Load) => number }) {
  let [error, covered, counted] = [0, 0, 0];
  for (let n = 0; n < 1500; n += 1) {
    const load = run.next();
    const measuredMs = run.measure(load);
    const predicted = model.predict(load);
    if (predicted !== null && n >= 300) {
      error += Math.abs(predicted.ttftMs - measuredMs) / measuredMs;
      covered += measuredMs <= predicted.p90Ms ? 1 : 0;
      counted += 1;
    }
    model.learnTtft(load, { measuredMs, predicted });
  }
  return { mape: error / counted, coverage: covered / counted };
}

test('a machine that is as the formula says is not found', () => {
  for (const slowness of [0.2, 1, 3, 40]) {
    const { truth, busy } = machine({ slowness, random: seededRandom(7) });
    const { mape } = follow(new LatencyModel(null), { next: busy, measure: truth });
    assert.ok(mape < 0.03, `${slowness}: ${mape}`);
  }
});

test('one in ten measured times is not above the predicted p90, on machines with noise', () => {
  for (const noise of [0.05, 0.2, 0.5]) {
    const { noisy, busy } = machine({ noise, random: seededRandom(11) });
    const model = new LatencyModel(null);
    const { coverage } = follow(model, { next: busy, measure: noisy });
    assert.ok(coverage >= 0.85 && coverage <= 0.95, `${noise}: ${coverage}`);
    const gauges = model.gauges();
    assert.ok(gauges !== null && gauges.p90Coverage > 0.85 && gauges.p90Coverage < 0.95);
    assert.ok(gauges.mape < noise * 1.2, `${noise}: ${gauges.mape}`);
  }
});

test('a night of short quiet prompts erases what a busy day looks like', () => {
  const { truth, noisy, busy } = machine({ noise: 0.05, random: seededRandom(3) });
  const model = new LatencyModel(null);
  follow(model, { next: busy, measure: noisy });
  const quiet = uncached({ ahead: 0, own: 60, running: 0, held: 0 });
  for (let n = 0; n < 20_000; n += 1) {
    model.learnTtft(quiet, { measuredMs: noisy(quiet), predicted: null });
  }
  for (const load of [
    uncached({ ahead: 6000, own: 12_000, running: 40, held: 200_000 }),
    uncached({ ahead: 0, own: 4000, running: 20, held: 100_000 }),
  ]) {
    const error = (model.ttftMs(load) ?? 0) / truth(load) - 1;
    assert.ok(Math.abs(error) < 0.15, `${error}`);
  }
});

test('a new instance is a stranger though its kind is known, or stays as fast though slow', () => {
  const random = seededRandom(5);
  const kind = new LatencyModel(null);
  const fast = machine({ random });
  follow(new LatencyModel(kind), { next: fast.busy, measure: fast.truth });
  const fresh = new LatencyModel(kind);
  const load = uncached({ ahead: 1000, own: 3000, running: 8, held: 30_000 });
  const asKind = fresh.ttftMs(load) ?? 0;
  assert.ok(Math.abs(asKind / fast.truth(load) - 1) < 0.05);
  const slow = machine({ slowness: 3, random });
  for (let n = 0; n < 4; n += 1) {
    const seen = slow.busy();
    fresh.learnTtft(seen, { measuredMs: slow.truth(seen), predicted: null });
  }
  const compared = (fresh.ttftMs(load) ?? 0) / slow.truth(load);
  assert.ok(compared > 0.6 && compared < 1.4, `${compared}`);
});

test('what is cached costs nothing, although what is computed has to look back on it', () => {
  const { truth, busy } = machine({ random: seededRandom(8) });
  const model = new LatencyModel(null);
  follow(model, { next: busy, measure: truth });
  const prompt = { prompt: 61_000, own: 1000 };
  const short = { prompt: 1000, own: 1000 };
  const more = (model.prefillMs(prompt) ?? 0) - (model.prefillMs(short) ?? 0);
  const expected = 8e-7 * 2 * 60_000 * 1000;
  assert.ok(Math.abs(more / expected - 1) < 0.05, `${more} ms instead of ${expected}`);
});

test('time per token does not follow the number of sequences', () => {
  const model = new LatencyModel(null);
  const random = seededRandom(9);
  for (let n = 0; n < 300; n += 1) {
    const running = Math.floor(64 * random.float());
    const held = running * 1000 * (0.5 + random.float());
    model.learnTpot({ running, held }, 9 + 0.05 * running + (0.08 * held) / 1000);
  }
  const predicted = model.tpotMs({ running: 40, held: 40_000 }) ?? 0;
  assert.ok(Math.abs(predicted / 14.2 - 1) < 0.05, `${predicted}`);
});

test('S5: what hostile agents do makes a prediction that is no time', () => {
  const wild = fc.oneof(
    fc.double(),
    fc.constantFrom(0, -1, NaN, Infinity, -Infinity, 1e308, Number.MIN_VALUE),
    fc.double({ min: 0, max: 1e6, noNaN: true }),
  );
  const pairs = { aheadPairs: wild, ownPairs: wild };
  const load = fc.record({ ahead: wild, own: wild, ...pairs, running: wild, held: wild });
  const asked = fc.double({ min: 0, max: 1e6, noNaN: true });
  const question = fc.record({
    ahead: asked,
    own: asked,
    aheadPairs: asked,
    ownPairs: asked,
    running: asked,
    held: asked,
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(load, wild), { maxLength: 60 }), question, (samples, about) => {
      const model = new LatencyModel(new LatencyModel(null));
      for (const [seen, measuredMs] of samples) {
        model.learnTtft(seen, { measuredMs, predicted: model.predict(about) });
        model.learnTpot(seen, measuredMs);
        const { ttftMs = 1, p90Ms = 1 } = model.predict(about) ?? {};
        const others = [
          model.prefillMs({ prompt: about.ahead + about.own, own: about.own }) ?? 1,
          model.tpotMs(about) ?? 1,
        ];
        for (const one of [ttftMs, p90Ms, ...others]) {
          assert.ok(Number.isFinite(one) && one >= 0, `${one}`);
        }
      }
      const { mape = 0, p90Coverage = 1 } = model.gauges() ?? {};
      assert.ok(mape >= 0 && Number.isFinite(mape) && p90Coverage >= 0 && p90Coverage <= 1);
    }),
    { numRuns: 200 },
  );
});

/** One after the other on a machine that takes so many ms, and now and then another time. */
function taught(model: LatencyModel, { ms, times }: { ms: (n: number) => number; times: number }) {
  const load = uncached({ ahead: 0, own: 200, running: 0, held: 0 });
  for (let n = 0; n < times; n += 1) {
    model.learnTtft(load, { measuredMs: ms(n), predicted: model.predict(load) });
    model.learnTpot(load, ms(n) / 10);
  }
  return { ttftMs: model.ttftMs(load) ?? 0, tpotMs: model.tpotMs(load) ?? 0 };
}

test('a machine that has become much slower is taken for fast for hundreds of requests', () => {
  for (const factor of [3, 10, 40]) {
    const kind = new LatencyModel(null);
    const model = new LatencyModel(kind);
    taught(model, { ms: (n) => 95 + (n % 10), times: 300 });
    const { ttftMs, tpotMs } = taught(model, { ms: (n) => factor * (95 + (n % 10)), times: 20 });
    assert.ok(ttftMs > 80 * factor, `${factor}: ${ttftMs}`);
    assert.ok(tpotMs > 8 * factor, `${factor}: ${tpotMs}`);
    // And back again.
    assert.ok(taught(model, { ms: (n) => 95 + (n % 10), times: 60 }).ttftMs < 130);
  }
});

test('some long times among others are taken for a machine that has become slow', () => {
  const model = new LatencyModel(new LatencyModel(null));
  const few = (n: number): number => (n % 4 === 3 ? 1000 : 95 + (n % 10));
  taught(model, { ms: (n) => 95 + (n % 10), times: 300 });
  const { tpotMs } = taught(model, { ms: few, times: 16 });
  assert.ok(tpotMs < 20, String(tpotMs));
});

test('a slow machine goes unseen where times scatter, or some of its answers are cached', () => {
  const scattered = new LatencyModel(new LatencyModel(null));
  taught(scattered, { ms: (n) => (n % 8 === 7 ? 400 : 95), times: 300 });
  const { ttftMs } = taught(scattered, { ms: () => 350, times: 20 });
  assert.ok(ttftMs > 280, String(ttftMs));

  const cached = new LatencyModel(new LatencyModel(null));
  const every = (n: number): boolean => n % 10 === 9;
  const teach = (factor: number, times: number): number => {
    const ask = (own: number): Load => uncached({ ahead: 0, own, running: 0, held: 0 });
    for (let n = 0; n < times; n += 1) {
      const load = ask(every(n) ? 5 : 200);
      const measuredMs = every(n) ? 12 : factor * (95 + (n % 10));
      cached.learnTtft(load, { measuredMs, predicted: cached.predict(load) });
    }
    return cached.ttftMs(ask(200)) ?? 0;
  };
  teach(1, 300);
  assert.ok(teach(10, 20) > 800);
});

test('a machine whose prior was wrong is as wrong once its kind is known', () => {
  for (const factor of [20, 1 / 20]) {
    const kind = new LatencyModel(null);
    const [model, other] = [new LatencyModel(kind), new LatencyModel(kind)];
    model.assume({ firstByteMs: 100 * factor, promptTokenMs: 0, tokenMs: 10 * factor });
    taught(model, { ms: () => 100, times: 3 });
    taught(other, { ms: () => 100, times: 200 });
    const { ttftMs, tpotMs } = taught(model, { ms: () => 100, times: 1 });
    assert.ok(Math.abs(ttftMs - 100) < 5, `${factor}: ${ttftMs}`);
    assert.ok(Math.abs(tpotMs - 10) < 0.5, `${factor}: ${tpotMs}`);
  }
});

test('a machine that was timed is as unknown as one that was not, or is never learned', () => {
  const load = uncached({ ahead: 0, own: 800, running: 0, held: 0 });
  const model = new LatencyModel(new LatencyModel(null));
  assert.equal(model.predict(load), null);
  const gpu = { effectiveTiers: ['gpu_nvidia_shared', 'free'] } as const;
  model.assume(priorOf(gpu, { firstByteMs: 20, perTokenMs: 10 }));
  assert.equal(model.ttftMs(load), 20 + 800 * 0.1);
  assert.equal(model.tpotMs({ running: 0, held: 0 }), 10);
  assert.equal(model.prefillMs({ prompt: 800, own: 800 }), 80);
  // Half as fast as assumed: the first few samples move it, and what was measured replaces it.
  model.learnTtft(load, { measuredMs: 200, predicted: model.predict(load) });
  assert.ok((model.ttftMs(load) ?? 0) > 130);
  for (let n = 0; n < 20; n += 1) model.learnTtft(load, { measuredMs: 200, predicted: null });
  assert.ok(Math.abs((model.ttftMs(load) ?? 0) - 200) < 10);
  const cpu = priorOf({ effectiveTiers: ['self_hosted'] }, { firstByteMs: 20, perTokenMs: 10 });
  assert.ok(cpu.promptTokenMs > 1);
  // S5: an agent that says that it takes no time at all.
  const liar = new LatencyModel(new LatencyModel(null));
  liar.assume(priorOf(gpu, { firstByteMs: 0, perTokenMs: 0 }));
  liar.learnTpot(load, 10);
  for (const ms of [liar.ttftMs(load), liar.tpotMs(load)])
    assert.ok(ms !== null && ms > 0 && ms < 1e6);
});

/** Machines of one kind, and a load that only some of them have had. */
function kindOf(count: number, { noise = 0, seed = 5 } = {}) {
  const random = seededRandom(seed);
  const kind = new LatencyModel(null);
  const models = Array.from({ length: count }, () => new LatencyModel(kind));
  const { truth, noisy, busy } = machine({ noise, random });
  const quiet = (): Load => uncached({ ahead: 0, own: 100 + 200 * random.float(), ...nobody });
  const teach = (at: number, loads: { next: () => Load; times: number; slowness?: number }) => {
    const { next, times, slowness = 1 } = loads;
    const model = models[at] ?? kind;
    for (let n = 0; n < times; n += 1) {
      const load = next();
      const measuredMs = slowness * noisy(load);
      model.learnTtft(load, { measuredMs, predicted: model.predict(load) });
    }
  };
  const asked = uncached({ ahead: 12_000, own: 2_000, running: 30, held: 100_000 });
  const share = (at: number): number => (models[at]?.ttftMs(asked) ?? 0) / truth(asked);
  return { busy, quiet, teach, share };
}
const nobody = { running: 0, held: 0 };
const within = (value: number, least: number, most: number): void =>
  assert.ok(value >= least && value <= most, `${value} is not in ${least} to ${most}`);

test('the first machine of a kind is taken for much too fast once its prior is replaced', () => {
  for (const factor of [1 / 20, 3, 50]) {
    const model = new LatencyModel(new LatencyModel(null));
    model.assume({ firstByteMs: 100 * factor, promptTokenMs: 0, tokenMs: 10 * factor });
    for (let n = 1; n <= 12; n += 1) {
      const { ttftMs, tpotMs } = taught(model, { ms: () => 100, times: 1 });
      if (n < 8) continue;
      within(ttftMs, 95, 105);
      within(tpotMs, 9.5, 10.5);
    }
  }
});

test('machines are unlike because their shortest times are those of the network', () => {
  const kind = new LatencyModel(null);
  const [first, second] = [new LatencyModel(kind), new LatencyModel(kind)];
  const learn = (model: LatencyModel, own: number): void => {
    const load = uncached({ ahead: 0, own, ...nobody });
    model.learnTtft(load, { measuredMs: 1 + 0.01 * own, predicted: model.predict(load) });
  };
  for (let n = 0; n < 400; n += 1) learn(first, n % 2 === 0 ? 20 : 40_000);
  for (let n = 0; n < 200; n += 1) learn(second, 20);
  within(second.ttftMs(uncached({ ahead: 0, own: 40_000, ...nobody })) ?? 0, 350, 450);
});

test('the noise of short prompts says anything of long ones that others have had', () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const { busy, quiet, teach, share } = kindOf(2, { noise: 0.2, seed });
    teach(0, { next: busy, times: 1500 });
    for (let round = 0; round < 5; round += 1) {
      teach(1, { next: quiet, times: 40 });
      within(share(1), 0.8, 1.25);
    }
  }
});

test('a machine that became slow is foreseen ever slower under a load that it has not had', () => {
  for (const slowness of [3, 10]) {
    const { busy, quiet, teach, share } = kindOf(2);
    teach(0, { next: quiet, times: 300 });
    for (const at of [0, 1]) teach(at, { next: busy, times: 300 });
    for (let round = 0; round < 6; round += 1) {
      teach(0, { next: quiet, times: 40, slowness });
      teach(1, { next: busy, times: 400, slowness });
    }
    within(share(0) / slowness, 0.7, 2.2);
  }
});

test('a machine that was slow for a while is taken for slow in what it has not done since', () => {
  const { busy, quiet, teach, share } = kindOf(1);
  teach(0, { next: quiet, times: 300 });
  teach(0, { next: busy, times: 300 });
  for (let round = 0; round < 3; round += 1) {
    teach(0, { next: quiet, times: 60, slowness: 5 });
    teach(0, { next: quiet, times: 200 });
    within(share(0), 0.8, 1.3);
  }
});

test('S5: a machine that is slow, fast and slow again without end', () => {
  const { busy, quiet, teach, share } = kindOf(1);
  teach(0, { next: busy, times: 100 });
  for (let round = 0; round < 100; round += 1) {
    teach(0, { next: quiet, times: 20, slowness: 1e6 });
    teach(0, { next: quiet, times: 20 });
  }
  teach(0, { next: busy, times: 40 });
  within(share(0), 0.5, 2);
});
