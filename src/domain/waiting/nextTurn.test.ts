import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { nextTurn } from './nextTurn.ts';
import { PoolQueue, type Place, type Queued } from './poolQueue.ts';

interface Item extends Queued {
  id: string;
  own: number;
}

let made = 0;
const item = (over: Partial<Item> & { id: string }): Item => {
  made += 1;
  const arrivedAtMs = over.arrivedAtMs ?? 0;
  return {
    projectId: 'a',
    own: 1000,
    arrivedAtMs,
    deadlineMs: arrivedAtMs + 30_000,
    order: made,
    ...over,
  };
};

const insert = (queue: PoolQueue<Item>, one: Item): Place<Item> => queue.insert(one, one.own);

const takeAll = (
  queue: PoolQueue<Item>,
  places: Place<Item>[],
  how: { counters?: Record<string, number>; nowMs?: number; passes?: (one: Item) => boolean } = {},
): string[] => {
  const { counters = {}, nowMs = 0, passes = () => true } = how;
  const taken: string[] = [];
  for (;;) {
    const next = nextTurn<Item>({
      queues: [queue],
      nowMs,
      counterOf: ({ projectId }) => counters[projectId] ?? 0,
      ownOf: ({ own }) => own,
      ttftMsOf: ({ own }) => own / 10,
      isOut: () => false,
      passes,
    });
    if (next === null) return taken;
    taken.push(next.id);
    const place = places.find((one) => one.item === next);
    assert.ok(place !== undefined);
    queue.remove(place);
  }
};

test('a long prompt goes before a short one that came a little later', () => {
  const queue = new PoolQueue<Item>();
  queue.age(0.1);
  const places = [
    item({ id: 'long', own: 9000 }),
    item({ id: 'short', own: 100, arrivedAtMs: 500 }),
    item({ id: 'middle', own: 3000, arrivedAtMs: 200 }),
  ].map((one) => insert(queue, one));
  assert.deepEqual(takeAll(queue, places), ['short', 'middle', 'long']);
});

test('a long prompt waits for ever behind short ones', () => {
  const queue = new PoolQueue<Item>();
  queue.age(0.1);
  const places = [
    item({ id: 'long', own: 9000 }),
    item({ id: 'late', own: 100, arrivedAtMs: 100_000, deadlineMs: 1e9 }),
  ].map((one) => insert(queue, one));
  assert.deepEqual(takeAll(queue, places), ['long', 'late']);
});

test('before anything was learned, somebody with a later deadline is served first', () => {
  const queue = new PoolQueue<Item>();
  const places = [
    item({ id: 'patient', own: 1, deadlineMs: 30_000 }),
    item({ id: 'hurried', own: 9000, arrivedAtMs: 10, deadlineMs: 2000 }),
  ].map((one) => insert(queue, one));
  assert.deepEqual(takeAll(queue, places), ['hurried', 'patient']);
});

test('a project that was served more goes first, or its retries do', () => {
  const queue = new PoolQueue<Item>();
  queue.age(0.1);
  const places = [
    item({ id: 'rich', projectId: 'rich', own: 10 }),
    item({ id: 'poor', projectId: 'poor', own: 9000 }),
    item({ id: 'retry', projectId: 'rich', own: 90_000, order: -1 }),
    item({ id: 'retry of poor', projectId: 'poor', own: 90_000, order: -1 }),
    item({ id: 'older retry', projectId: 'poor', own: 90_000, order: -2 }),
  ].map((one) => insert(queue, one));
  const counters = { rich: 500, poor: 3 };
  const order = ['older retry', 'retry of poor', 'poor', 'retry', 'rich'];
  assert.deepEqual(takeAll(queue, places, { counters }), order);
});

test('a project with nobody for this instance keeps the others from it', () => {
  const queue = new PoolQueue<Item>();
  const places = [
    item({ id: 'one', projectId: 'poor' }),
    item({ id: 'two', projectId: 'rich' }),
  ].map((one) => insert(queue, one));
  const counters = { rich: 500 };
  const passes = ({ id }: Item): boolean => id === 'two';
  assert.deepEqual(takeAll(queue, places, { counters, passes }), ['two']);
});

test('one that can still make its deadline is let run into it; one that cannot goes first', () => {
  const queue = new PoolQueue<Item>();
  queue.age(0.001);
  const nowMs = 29_000;
  const places = [
    ...[0, 1, 2, 3].map((n) => item({ id: `short ${n}`, own: 10, arrivedAtMs: nowMs })),
    item({ id: 'hopeless', own: 40_000 }),
    item({ id: 'urgent', own: 8000, deadlineMs: 30_500 }),
  ].map((one) => insert(queue, one));
  const taken = takeAll(queue, places, { nowMs });
  assert.ok(taken.indexOf('urgent') < 3, taken.join());
  assert.equal(taken.at(-1), 'hopeless');
});

test('a place is lost, or an order, when ageing changes or somebody leaves', () => {
  const queued = fc.record({
    own: fc.nat(10_000),
    arrivedAtMs: fc.nat(10_000),
    project: fc.nat(2),
    leaves: fc.boolean(),
  });
  const ageing = fc.constantFrom(0, 0.01, 0.5, 20);
  fc.assert(
    fc.property(fc.array(queued, { maxLength: 40 }), ageing, ageing, (all, before, after) => {
      const queue = new PoolQueue<Item>();
      queue.age(before);
      const places = all.map(({ own, arrivedAtMs, project }, n) =>
        insert(
          queue,
          item({ id: `${n}`, own, arrivedAtMs, projectId: `p${project}`, order: n + 1 }),
        ),
      );
      for (let n = 0; n < 200; n += 1) queue.age(after);
      const stay = places.filter((place, n) => {
        if (all[n]?.leaves === true) queue.remove(place);
        return all[n]?.leaves !== true;
      });
      assert.equal(queue.size, stay.length);
      for (const { byKey, byDeadline } of queue.waitingProjects()) {
        const keys = byKey.map(({ item: one }) => queue.keyOf(one, one.own));
        assert.deepEqual(
          keys,
          keys.toSorted((one, other) => one - other),
        );
        const deadlines = byDeadline.map(({ item: one }) => one.deadlineMs);
        assert.deepEqual(
          deadlines,
          deadlines.toSorted((one, other) => one - other),
        );
        assert.equal(byKey.length, byDeadline.length);
      }
      for (const place of stay) queue.remove(place);
      assert.equal(queue.size, 0);
      assert.deepEqual([...queue.waitingProjects()], []);
    }),
    { numRuns: 100 },
  );
});

test('a retry that cannot go here keeps its project from having its turn', () => {
  const queue = new PoolQueue<Item>();
  const places = [
    item({ id: 'elsewhere', projectId: 'a', order: -2 }),
    item({ id: 'newcomer', projectId: 'a' }),
    item({ id: 'retry', projectId: 'b', order: -1 }),
  ].map((one) => insert(queue, one));
  const passes = ({ id }: Item): boolean => id !== 'elsewhere';
  assert.deepEqual(takeAll(queue, places, { counters: { b: 5 }, passes }), ['newcomer', 'retry']);
});

test('of two queues of one project only the first in a list is served', () => {
  const [known, fresh] = [new PoolQueue<Item>(), new PoolQueue<Item>()];
  known.age(0.1);
  insert(known, item({ id: 'long', own: 9000 }));
  insert(known, item({ id: 'short', own: 100, arrivedAtMs: 200 }));
  // Nothing is known in this one: its keys are deadlines.
  insert(fresh, item({ id: 'middle', own: 3000, arrivedAtMs: 100 }));
  insert(fresh, item({ id: 'other', projectId: 'b', own: 1 }));
  for (const queues of [
    [known, fresh],
    [fresh, known],
  ]) {
    const next = (passes: (one: Item) => boolean): string | undefined =>
      nextTurn<Item>({
        queues,
        nowMs: 300,
        counterOf: ({ projectId }) => (projectId === 'b' ? 5 : 0),
        ownOf: ({ own }) => own,
        ttftMsOf: ({ own }) => own / 10,
        isOut: () => false,
        passes,
      })?.id;
    assert.equal(
      next(() => true),
      'short',
    );
    assert.equal(
      next(({ own }) => own > 100),
      'middle',
    );
    assert.equal(
      next(({ projectId }) => projectId === 'b'),
      'other',
    );
  }
});

test('a project with large requests is passed over for ever by those that fit', () => {
  const queue = new PoolQueue<Item>();
  queue.age(0.1);
  const large = insert(queue, item({ id: 'large', projectId: 'poor', own: 12_000 }));
  insert(queue, item({ id: 'small', projectId: 'rich', own: 100, arrivedAtMs: 20_000 }));
  const next = (nowMs: number, fits: (one: Item) => boolean): string | undefined =>
    nextTurn<Item>({
      queues: [queue],
      nowMs,
      counterOf: ({ projectId }) => (projectId === 'rich' ? 500 : 0),
      ownOf: ({ own }) => own,
      ttftMsOf: ({ own }) => own / 10,
      isOut: () => false,
      passes: (one, room) => room === 'any' || fits(one),
    })?.id;
  const isSmall = ({ own }: Item): boolean => own < 1000;
  assert.equal(next(9_000, isSmall), 'small', 'it has not waited for long');
  assert.equal(next(11_000, isSmall), 'large');
  // Nobody else would have the room: then it waits for it.
  assert.equal(
    next(11_000, () => false),
    undefined,
  );
  queue.remove(large);
  assert.equal(next(11_000, isSmall), 'small');
});

test('a project pays, or is paid, for a turn that another one is given', () => {
  for (const credit of [50, 0]) {
    const queue = new PoolQueue<Item>();
    queue.age(0.1);
    const large = insert(queue, item({ id: 'large', projectId: 'poor', own: 12_000 }));
    insert(queue, item({ id: 'small', projectId: 'rich', own: 100 }));
    const rich = queue.of('rich');
    assert.ok(rich !== undefined);
    rich.credit = credit;
    const next = (): string | undefined =>
      nextTurn<Item>({
        queues: [queue],
        nowMs: 20_000,
        counterOf: ({ projectId }) => (projectId === 'rich' ? 500 : 0),
        ownOf: ({ own }) => own,
        ttftMsOf: ({ own }) => own / 10,
        isOut: () => false,
        passes: ({ own }, room) => room === 'any' || own < 1000,
      })?.id;
    assert.deepEqual([next(), rich.credit], ['large', credit]);
    queue.remove(large);
    assert.equal(next(), 'small');
    assert.ok(credit > 0 ? rich.credit < credit : rich.credit > credit, 'its own turn');
  }
});
