/**
 * The engine against a plain one that counts every token of every sequence in every step, and its
 * invariants E1–E4 under random requests, cancellations and crashes.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { blockTokens, kvTokens, maxSequences, maxStepTokens } from '../limits.ts';
import { Engine, type EngineRequest } from './engine.ts';
import { stepMs } from './stepTime.ts';

interface Told {
  what: 'admitted' | 'first' | 'finished';
  id: number;
  atMs: number;
}

/** What happens to an engine, at a time. */
interface Act {
  atMs: number;
  submit?: EngineRequest;
  cancel?: number;
}

function listen(told: Told[], now: () => number) {
  return {
    admitted: (id: number) => void told.push({ what: 'admitted', id, atMs: now() }),
    firstToken: (id: number) => void told.push({ what: 'first', id, atMs: now() }),
    finished: (id: number) => void told.push({ what: 'finished', id, atMs: now() }),
  };
}

/** Plays it; `look` sees the engine after every step and act. */
function play(acts: readonly Act[], look: (engine: Engine) => void = () => {}): Told[] {
  const told: Told[] = [];
  let nowMs = 0;
  const engine = new Engine({ slowness: 1, listener: listen(told, () => nowMs) });
  const runTo = (atMs: number): void => {
    while (engine.endsAtMs <= atMs && engine.endsAtMs < Infinity) {
      nowMs = engine.endsAtMs;
      engine.finishStep();
      look(engine);
    }
  };
  for (const act of acts) {
    runTo(act.atMs);
    nowMs = act.atMs;
    if (act.submit !== undefined) engine.submit(act.submit, act.atMs);
    if (act.cancel !== undefined) engine.cancel(act.cancel);
    look(engine);
  }
  runTo(Number.MAX_VALUE);
  assert.deepEqual(engine.state(), { running: 0, waiting: 0, kvTokens: 0 });
  return told;
}

/** The same rules, one sequence at a time; no prefixes. */
function playPlainly(acts: readonly Act[]): Told[] {
  type Plain = EngineRequest & { phase: string; done: number; generated: number };
  const told: Told[] = [];
  const open = [...acts];
  let all: Plain[] = [];
  let nowMs = 0;
  const step = (): boolean => {
    const running = (): Plain[] => all.filter(({ phase }) => phase !== 'waiting');
    const decoding = all.filter(({ phase }) => phase === 'decoding');
    let left = maxStepTokens - decoding.length;
    let prefillPairs = 0;
    const chunks: [Plain, number][] = [];
    // Who has begun goes first, then those that wait, as long as the next one fits.
    const line = all.filter(({ phase }) => phase === 'prefilling');
    line.push(...all.filter(({ phase }) => phase === 'waiting'));
    for (const one of line) {
      if (left === 0) break;
      if (one.phase === 'waiting') {
        const held = running().reduce(
          (sum, { inputTokens, outputTokens }) => sum + inputTokens + outputTokens,
          0,
        );
        const whole = one.inputTokens + one.outputTokens;
        if (running().length >= maxSequences || held + whole > kvTokens) break;
        one.phase = 'prefilling';
        told.push({ what: 'admitted', id: one.id, atMs: nowMs });
      }
      const tokens = Math.min(left, one.inputTokens - one.done);
      prefillPairs += tokens * (one.done + tokens / 2);
      left -= tokens;
      chunks.push([one, tokens]);
    }
    if (left === maxStepTokens) return false;
    const contextTokens = decoding.reduce((sum, one) => sum + one.inputTokens + one.generated, 0);
    const endsAtMs = nowMs + stepMs({ tokens: maxStepTokens - left, contextTokens, prefillPairs });
    actUntil(endsAtMs);
    nowMs = endsAtMs;
    const here = new Set(all);
    const advance = (one: Plain): void => {
      one.generated += 1;
      if (one.generated === 1) told.push({ what: 'first', id: one.id, atMs: nowMs });
      if (one.generated < one.outputTokens) return;
      told.push({ what: 'finished', id: one.id, atMs: nowMs });
      all = all.filter((other) => other !== one);
    };
    for (const one of decoding) if (here.has(one)) advance(one);
    for (const [one, tokens] of chunks) {
      if (!here.has(one)) continue;
      one.done += tokens;
      if (one.done < one.inputTokens) continue;
      one.phase = 'decoding';
      advance(one);
    }
    return true;
  };
  /** What happens before this time, while a step runs. */
  const actUntil = (atMs: number): void => {
    for (let act = open[0]; act !== undefined && act.atMs < atMs; act = open[0]) {
      open.shift();
      const { submit, cancel } = act;
      if (submit !== undefined) all.push({ ...submit, phase: 'waiting', done: 0, generated: 0 });
      if (cancel !== undefined) all = all.filter(({ id }) => id !== cancel);
    }
  };
  while (open.length > 0 || all.length > 0) {
    if (step()) continue;
    nowMs = open[0]?.atMs ?? nowMs;
    // One at a time: an idle engine begins with the first that comes.
    actUntil(nowMs + Number.MIN_VALUE);
    const next = open[0];
    if (next?.atMs === nowMs) {
      open.shift();
      if (next.submit !== undefined)
        all.push({ ...next.submit, phase: 'waiting', done: 0, generated: 0 });
      if (next.cancel !== undefined) all = all.filter(({ id }) => id !== next.cancel);
    }
  }
  return told;
}

const length = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 6_000 }) },
  { weight: 2, arbitrary: fc.integer({ min: 60_000, max: 200_000 }) },
);
const output = fc.oneof(
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 40 }) },
  { weight: 1, arbitrary: fc.integer({ min: 300, max: 900 }) },
);
const request = fc.record({
  afterMs: fc.double({ min: 0.001, max: 400, noNaN: true }),
  inputTokens: length,
  outputTokens: output,
  /** Which of a few conversations it goes on with, and how far. */
  chat: fc.integer({ min: 0, max: 3 }),
  /** How long after its arrival nobody wants it any more; null: it is wanted. */
  cancelAfterMs: fc.option(fc.double({ min: 0.01, max: 2_000, noNaN: true }), {
    nil: null,
    freq: 4,
  }),
});
const requests = fc.array(request, { maxLength: 40 });

function actsOf(
  drawn: readonly {
    afterMs: number;
    inputTokens: number;
    outputTokens: number;
    chat: number;
    cancelAfterMs: number | null;
  }[],
  how: { blocks: boolean },
): Act[] {
  let atMs = 0;
  const acts: Act[] = [];
  for (const [id, one] of drawn.entries()) {
    atMs += one.afterMs;
    const { inputTokens, outputTokens, chat } = one;
    const count = how.blocks ? Math.ceil(inputTokens / blockTokens) : 0;
    const blocks = Array.from({ length: count }, (_none, at) => chat * 10_000 + at);
    acts.push({ atMs, submit: { id, inputTokens, outputTokens, blocks } });
    if (one.cancelAfterMs !== null) acts.push({ atMs: atMs + one.cancelAfterMs, cancel: id });
  }
  return acts.toSorted((one, other) => one.atMs - other.atMs);
}

test('sums that drift from what every sequence has by itself', () => {
  const sorted = (told: Told[]): string[] =>
    told.map(({ what, id, atMs }) => `${atMs.toFixed(4)} ${what} ${id}`).toSorted();
  fc.assert(
    fc.property(requests, (drawn) => {
      const acts = actsOf(drawn, { blocks: false });
      assert.deepEqual(sorted(play(acts)), sorted(playPlainly(acts)));
    }),
    { numRuns: 60, seed: 1 },
  );
});

test('E1, E2: more held, more in a step or more at once than the machine has', () => {
  fc.assert(
    fc.property(requests, (drawn) => {
      play(actsOf(drawn, { blocks: true }), (engine) => {
        const audit = engine.audit();
        assert.ok(audit.heldTokens <= kvTokens, `holds ${audit.heldTokens}`);
        assert.ok(audit.running <= maxSequences);
        assert.equal(audit.reservedTokens, engine.state().kvTokens);
        assert.equal(audit.running, engine.state().running);
      });
    }),
    { numRuns: 60, seed: 2 },
  );
});

test('E3, E4: somebody overtakes, ends twice, never, or without a first token', () => {
  fc.assert(
    fc.property(requests, (drawn) => {
      const told = play(actsOf(drawn, { blocks: true }));
      const ids = (what: Told['what']): number[] =>
        told.filter((one) => one.what === what).map(({ id }) => id);
      assert.deepEqual(
        ids('admitted'),
        ids('admitted').toSorted((a, b) => a - b),
      );
      const wanted = drawn.flatMap(({ cancelAfterMs }, id) => (cancelAfterMs === null ? [id] : []));
      for (const what of ['first', 'finished'] as const) {
        assert.equal(new Set(ids(what)).size, ids(what).length, `${what} came twice`);
        assert.deepEqual(
          wanted.filter((id) => !ids(what).includes(id)),
          [],
        );
      }
      const first = new Set(ids('first'));
      assert.ok(ids('finished').every((id) => first.has(id)));
    }),
    { numRuns: 60, seed: 3 },
  );
});

const ask = (
  id: number,
  inputTokens: number,
  more: Partial<EngineRequest> = {},
): EngineRequest => ({
  id,
  inputTokens,
  outputTokens: 1,
  blocks: [],
  ...more,
});

test('a step that takes another time than the formula says', () => {
  // Measured points, one between two of them, and each of the other terms.
  assert.equal(stepMs({ tokens: 1, contextTokens: 0, prefillPairs: 0 }), 12.7);
  assert.equal(stepMs({ tokens: 2048, contextTokens: 0, prefillPairs: 0 }), 148.6);
  assert.ok(Math.abs(stepMs({ tokens: 192, contextTokens: 0, prefillPairs: 0 }) - 19.35) < 1e-9);
  const whole = stepMs({ tokens: 256, contextTokens: 100_000, prefillPairs: 1_000_000 });
  assert.ok(Math.abs(whole - (19.5 + 8.2 + 3.5 + 3)) < 1e-9);
});

test('a prompt that is longer than a step, decoding beside it', () => {
  const told = play([{ atMs: 0, submit: ask(1, 3_000, { outputTokens: 2 }) }]);
  const first = stepMs({ tokens: 2_048, contextTokens: 0, prefillPairs: 2_048 * 1_024 });
  const second = stepMs({ tokens: 952, contextTokens: 0, prefillPairs: 952 * (2_048 + 476) });
  const last = stepMs({ tokens: 1, contextTokens: 3_001, prefillPairs: 0 });
  assert.deepEqual(told, [
    { what: 'admitted', id: 1, atMs: 0 },
    { what: 'first', id: 1, atMs: first + second },
    { what: 'finished', id: 1, atMs: first + second + last },
  ]);
});

test('a prefix that is computed again, or one that is taken from what still runs', () => {
  const blocks = [1, 2, 3, 4];
  const cached: number[] = [];
  const engine = new Engine({
    slowness: 1,
    listener: {
      admitted: (_id, tokens) => void cached.push(tokens),
      firstToken: () => {},
      finished: () => {},
    },
  });
  const finish = (): void => {
    while (engine.endsAtMs < Infinity) engine.finishStep();
  };
  engine.submit(ask(1, 2_048, { blocks, outputTokens: 5 }), 0);
  // The first one still runs: nothing of it can be used.
  engine.submit(ask(2, 2_048, { blocks, outputTokens: 5 }), 0);
  finish();
  // The last token is always computed; another ending shares what comes before it.
  engine.submit(ask(3, 2_048, { blocks }), 1e6);
  finish();
  engine.submit(ask(4, 4_000, { blocks: [1, 2, 9, 4] }), 2e6);
  finish();
  // What it holds makes room for what is admitted, and a crash loses the rest.
  engine.submit(ask(5, kvTokens - 1), 3e6);
  finish();
  engine.submit(ask(6, 2_048, { blocks }), 4e6);
  finish();
  engine.crash();
  engine.submit(ask(7, 2_048, { blocks }), 5e6);
  finish();
  assert.deepEqual(cached, [0, 0, 2_047, 1_024, 0, 0, 0]);
});

test('E2: more sequences at once than there is room for, or one that is forgotten', () => {
  const acts = Array.from({ length: 300 }, (_none, id) => ({
    atMs: id / 1_000,
    submit: ask(id, 20, { outputTokens: 60 }),
  }));
  let most = 0;
  const told = play(acts, (engine) => {
    most = Math.max(most, engine.audit().running);
  });
  assert.equal(most, maxSequences);
  assert.equal(told.filter(({ what }) => what === 'finished').length, 300);
});

test('E1: a prompt that is begun before there is room for all of it', () => {
  const acts = Array.from({ length: 6 }, (_none, id) => ({
    atMs: id,
    submit: ask(id, 120_000, { outputTokens: 900 }),
  }));
  let most = 0;
  const told = play(acts, (engine) => {
    most = Math.max(most, engine.audit().reservedTokens);
  });
  assert.equal(most, 3 * 120_900);
  assert.deepEqual(told, playPlainly(acts));
});

test('a crash that leaves something behind', () => {
  const told: Told[] = [];
  const engine = new Engine({ slowness: 1, listener: listen(told, () => 0) });
  engine.submit(ask(1, 5_000, { outputTokens: 9 }), 0);
  engine.submit(ask(2, 3_000, { outputTokens: 9 }), 0);
  for (let step = 0; step < 3; step += 1) engine.finishStep();
  engine.submit(ask(3, 90_000), engine.endsAtMs - 1);
  assert.deepEqual(engine.crash(), [1, 2, 3]);
  assert.deepEqual([engine.endsAtMs, engine.state().kvTokens], [Infinity, 0]);
  told.length = 0;
  engine.submit(ask(4, 3_000, { outputTokens: 9 }), 1e6);
  while (engine.endsAtMs < Infinity) engine.finishStep();
  assert.deepEqual(
    told.map(({ id }) => id),
    [4, 4, 4],
  );
});

test('a slow machine that is as fast as the others', () => {
  const endOf = (slowness: number): number => {
    const engine = new Engine({ slowness, listener: listen([], () => 0) });
    engine.submit(ask(1, 2_000), 0);
    return engine.endsAtMs;
  };
  assert.ok(Math.abs(endOf(3) - 3 * endOf(1)) < 1e-9);
});
