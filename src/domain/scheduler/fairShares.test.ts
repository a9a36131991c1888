/** Projects that stop and begin again, or whose requests fail: how much each is served. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { TierSlug } from '../tiers/tiers.ts';
import { Contest, type Client, type Got, type Machine } from '../../testing/router/contest.ts';

/** What each of them is charged for, after they have run for a while. */
function charges(
  machines: readonly Machine[],
  clients: Record<string, Client>,
): { charged: Record<string, number>; bound: number; contest: Contest } {
  const contest = new Contest(machines, clients);
  contest.run(10);
  const got = Object.entries(contest.share(120));
  const charged = Object.fromEntries(got.map(([name, one]) => [name, one.charged]));
  return { charged, bound: contest.bound(), contest };
}

/** S4, for those that always have somebody waiting: at the beginning and at the end of a time. */
function assertWithinS4(machines: readonly Machine[], clients: Record<string, Client>): Contest {
  const { charged, bound, contest } = charges(machines, clients);
  const values = Object.values(charged);
  const gap = Math.max(...values) - Math.min(...values);
  const what = `${JSON.stringify(charged)}: not within ${2 * bound}`;
  assert.ok(Math.min(...values) > 0 && gap <= 2 * bound, what);
  return contest;
}

for (const fails of ['busy', 'bad'] as const) {
  test(`a project whose own agents fail all it sends (${fails}) goes before the others`, () => {
    for (const slots of [1, 3]) {
      for (const count of [1, 2]) {
        const own = { projectId: 'a', slots: 64, fails };
        const machines = [{ slots }, ...Array.from({ length: count }, () => own)];
        const other = { outstanding: 8 };
        const contest = assertWithinS4(machines, {
          a: { projectId: 'a', outstanding: 8 },
          b: { projectId: 'b', ...other },
          c: { projectId: 'c', tokens: 300, ...other },
          // It has half the weight: half as much is served to it.
          d: { projectId: 'd', tier: 'free', ...other },
        });
        assert.equal(contest.got['a']?.refused, 0, 'the oldest of its retries waited too long');
      }
    }
  });
}

for (const [ends, what] of [
  ['fails', 'makes every agent fail'],
  ['refused', 'every engine refuses'],
  ['leaves', 'is given up before its first byte'],
  ['fails_and_leaves', 'makes an agent fail, and is given up while the next one tries,'],
] as const) {
  test(`a project of which each request ${what} takes everybody else’s turns`, () => {
    for (const [count, slots] of [
      [1, 2],
      [2, 1],
      [4, 2],
    ] as const) {
      const machines = Array.from({ length: count }, () => ({ slots }));
      const contest = new Contest(machines, {
        hostile: { projectId: 'hostile', outstanding: 60, ends },
        other: { projectId: 'other', outstanding: 20 },
      });
      contest.run(10);
      const { hostile, other } = contest.share(60);
      // Of each attempt of the hostile one its prompt counts, and nothing is answered.
      const turns = ((hostile?.dispatched ?? 0) * 1000) / 1200;
      const served = other?.served ?? 0;
      assert.ok(served > 0.8 * turns, `${count} of ${slots}: ${served} for ${turns}`);
    }
  });
}

test('an own agent that fails all it is given is asked without end', () => {
  for (const fails of ['busy', 'bad'] as const) {
    const own = Array.from({ length: 8 }, () => ({ projectId: 'a', slots: 8, fails }));
    const contest = new Contest([{ slots: 2 }, ...own], { a: { projectId: 'a', outstanding: 20 } });
    contest.run(20);
    const { served, refused, dispatched } = contest.got['a'] ?? assert.fail();
    const ended = served + refused + 20;
    assert.ok(dispatched <= 5 * ended, `${dispatched} for ${ended}`);
  }
});

test('F2: a project that had the machines for itself waits for who comes later', () => {
  // Whoever runs a little all the time has a small counter.
  const trickle = { projectId: 'trickle', outstanding: 1, tokens: 10, serviceMs: 1e9 };
  // Always with somebody waiting, or with as many as there are slots.
  for (const outstanding of [12, 4]) {
    const contest = new Contest([{ slots: 5 }], {
      trickle,
      first: { projectId: 'first', outstanding },
      later: { projectId: 'later', outstanding: 12, fromMs: 600_000 },
    });
    contest.run(600);
    const { first, later } = contest.share(20);
    const what = `${first?.charged} and ${later?.charged}`;
    const gap = Math.abs((first?.charged ?? 0) - (later?.charged ?? 0));
    assert.ok(gap <= 2 * contest.bound(), what);
  }
});

test('F2: what it was served for a model that nobody else wants is held against it', () => {
  const contest = new Contest([{ slots: 2 }, { slots: 8, modelId: 'model_b' }], {
    // In its line for the other model somebody waits at all times.
    elsewhere: { projectId: 'both', outstanding: 20, modelIds: ['model_b'] },
    both: { projectId: 'both', outstanding: 8 },
    one: { projectId: 'one', outstanding: 8 },
  });
  contest.run(20);
  const { both, one } = contest.share(120);
  const gap = Math.abs((both?.charged ?? 0) - (one?.charged ?? 0));
  assert.ok(gap <= 2 * contest.bound(), `${both?.charged} and ${one?.charged}`);
});

/** Neither is starved, and they are about even. */
function assertEven(one: Got | undefined, other: Got | undefined): void {
  const [its, theirs] = [one?.served ?? 0, other?.served ?? 0];
  const what = `${its} and ${theirs}`;
  assert.ok(its > 0 && its <= 1.3 * theirs && theirs <= 1.3 * its, what);
}

test('F2: machines that those who wait cannot use are held against who used them', () => {
  const gpu = { tier: 'gpu_nvidia_shared' } as const;
  const contest = new Contest(
    [
      { slots: 8, tiers: ['cpu_amd_optimized'] },
      { slots: 1, tiers: ['gpu_nvidia_shared'] },
    ],
    {
      cpu: { projectId: 'a', outstanding: 4, untilMs: 600_000 },
      waits: { projectId: 'b', outstanding: 4, ...gpu },
      later: { projectId: 'a', outstanding: 4, fromMs: 600_000, ...gpu },
    },
  );
  contest.run(600);
  const { waits, later } = contest.share(60);
  assertEven(waits, later);
});

test('F2: what the limit of one project holds back is held against another one', () => {
  const later = { fromMs: 300_000, modelIds: ['model_b'], tier: 'free' } as const;
  const contest = new Contest(
    // With an agent of its own that has no slot its requests wait instead of being refused.
    [{ slots: 8 }, { modelId: 'model_b' }, { projectId: 'b', slots: 0 }],
    {
      free: { projectId: 'a', outstanding: 2 },
      held: { projectId: 'b', outstanding: 3 },
      one: { projectId: 'a', outstanding: 4, ...later },
      other: { projectId: 'b', outstanding: 4, ...later },
    },
    { concurrentPerProject: 2 },
  );
  contest.run(301);
  const { one, other } = contest.share(60);
  assertEven(one, other);
});

test('F2: who waits for a model beside nobody saves up what others are charged', () => {
  // Somebody who runs a little all the time changes nothing.
  const trickle = { projectId: 'trickle', outstanding: 1, tokens: 10, serviceMs: 1e9 };
  for (const some of [{}, { trickle }]) {
    const contest = new Contest([{ slots: 1 }, { modelId: 'model_b' }], {
      ...some,
      both: { projectId: 'both', outstanding: 4 },
      other: { projectId: 'other', outstanding: 4 },
      alone: { projectId: 'alone', outstanding: 4, modelIds: ['model_b'] },
      later: { projectId: 'both', outstanding: 4, modelIds: ['model_b'], fromMs: 600_000 },
    });
    contest.run(600);
    const { alone, later } = contest.share(60);
    const [its, theirs] = [alone?.served ?? 0, later?.served ?? 0];
    const least = (its + theirs) / 4;
    assert.ok(its >= least && theirs >= least, `${its} and ${theirs}`);
  }
});

test('whoever stops waiting for a moment is served more than who always waits', () => {
  for (const slots of [1, 2, 4]) {
    for (const outstanding of [1, 2, 5]) {
      for (const tokens of [10, 1000, 100_000]) {
        const contest = new Contest([{ slots }], {
          loop: { projectId: 'loop', outstanding, tokens },
          always: { projectId: 'always', outstanding: 2 * slots + 2 },
        });
        contest.run(10);
        const { loop, always } = contest.share(120);
        const [its, theirs] = [loop?.charged ?? 0, always?.charged ?? 0];
        const what = `${slots} slots, ${outstanding} of ${tokens}: ${its} and ${theirs}`;
        assert.ok(its - theirs <= 2 * contest.bound(), what);
      }
    }
  }
});

test('S4: whatever others do, one is served more than who always waits for the same', () => {
  const rival = fc.record({
    outstanding: fc.constantFrom(1, 2, 5, 16),
    tokens: fc.constantFrom(10, 1000, 10_000),
    answerTokens: fc.constantFrom(1, 100),
    serviceMs: fc.constantFrom(100, 400),
    thinkMs: fc.constantFrom(0, 1, 300),
    tier: fc.constantFrom<TierSlug>('cpu_amd_optimized', 'free'),
    turnsMs: fc.constantFrom(null, 400, 3000),
    models: fc.constantFrom('a', 'b', 'ab'),
  });
  const slots = fc.constantFrom(1, 2, 6);
  fc.assert(
    fc.property(fc.array(rival, { minLength: 1, maxLength: 4 }), slots, (rivals, count) => {
      const clients: Record<string, Client> = {};
      for (const [n, { turnsMs, models, ...one }] of rivals.entries()) {
        for (const model of models) {
          const turns = turnsMs === null ? {} : { turnsMs };
          const modelIds = [`model_${model}`];
          clients[`p${n} ${model}`] = { ...one, ...turns, projectId: `p${n}`, modelIds };
        }
      }
      const outstanding = 2 * count + 2;
      clients['always a'] = { projectId: 'always', outstanding, modelIds: ['model_a'] };
      const contest = new Contest([{ slots: count }, { slots: 2, modelId: 'model_b' }], clients);
      contest.run(10);
      const got = contest.share(60);
      const always = got['always a']?.charged ?? 0;
      for (const [name, { charged }] of Object.entries(got)) {
        if (!name.endsWith('a')) continue;
        const what = `${name}: ${charged}, always: ${always}, bound: ${contest.bound()}`;
        assert.ok(charged - always <= 2 * contest.bound(), what);
      }
    }),
    { numRuns: 40 },
  );
});
