/** Orders: who is next, by hand and, for each, that nobody is lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ArrivedRequest } from '../routerPort.ts';
import type { Order } from './order.ts';
import { orderNames, type OrderName } from './orderNames.ts';
import { orders } from './orders.ts';

let nextId = 1;

function ask(tenant: string, inputTokens = 100): ArrivedRequest {
  nextId += 1;
  return { id: nextId, tenant, inputTokens, blocks: [], blockTokens: 512 };
}

function waiting(name: OrderName, tenants: string): Order {
  const order = orders[name]();
  for (const tenant of tenants) order.add(ask(tenant), 0);
  return order;
}

/** Tenants in the order in which they are served. */
function served(order: Order, count = order.size): string {
  return Array.from({ length: count }, () => order.next()?.tenant ?? '–').join('');
}

test('somebody who is served before those that came first', () => {
  assert.equal(served(waiting('fcfs', 'aaabac')), 'aaabac');
});

test('a tenant that gets more turns by asking more', () => {
  assert.equal(served(waiting('round-robin-tenant', 'aaaabbc')), 'abcabaa');
});

test('counters: a tenant that gets more tokens by asking more or for longer ones', () => {
  assert.equal(served(waiting('vtc', 'aaaabbb')), 'abababa');
  const order = orders.vtc();
  for (const _one of 'xxx') order.add(ask('long', 1_000), 0);
  for (const _one of 'xxxxxxxxxxxx') order.add(ask('short', 250), 0);
  // Four short ones for each long one.
  const first = Array.from({ length: 10 }, () => order.next()?.tenant);
  assert.deepEqual(
    first.map((tenant) => tenant === 'long'),
    [true, false, false, false, false, true, false, false, false, false],
  );
});

test('counters: output that is not charged', () => {
  const order = orders.vtc();
  const first = ask('a');
  order.add(first, 0);
  for (const tenant of 'babbbb') order.add(ask(tenant), 0);
  assert.equal(served(order, 2), 'ab');
  order.ended?.(first, { inputTokens: 100, cachedTokens: 0, outputTokens: 200 });
  // a is 400 ahead: b has four before it is a's turn.
  assert.equal(served(order), 'bbbba');
});

test('a long prompt goes before short ones of its tenant, or waits for ever behind them', () => {
  const order = orders.xim();
  const [long, short, late] = [ask('a', 16_000), ask('a', 800), ask('a', 800)];
  order.add(long, 0);
  order.add(short, 1000);
  // A second of computing is worth 67 s of waiting.
  order.add(late, 70_000);
  assert.deepEqual([order.next(), order.next(), order.next()], [short, long, late]);
  order.add(ask('a', 100), 0);
  order.add(ask('b', 100_000), 0);
  order.add(ask('a', 100), 0);
  assert.match(served(order), /^(aba|baa|aab)$/);
});

test('counters: a tenant that saves up while it is idle', () => {
  const order = waiting('vtc', 'aaaaaaaaaa');
  assert.equal(served(order, 6), 'aaaaaa');
  // b comes with nothing used and is lifted to a: from now on they take turns.
  for (const tenant of 'bbbb') order.add(ask(tenant), 0);
  assert.match(served(order), /^(ab|ba){4}$/);
  // All have left; who comes then begins where the last one left.
  order.add(ask('c'), 0);
  order.add(ask('a'), 0);
  order.add(ask('c'), 0);
  order.add(ask('a'), 0);
  assert.match(served(order), /^(ca|ac){2}$/);
});

for (const name of orderNames) {
  test(`${name}: a request that is lost, served twice, or served after it was taken out`, () => {
    const act = fc.oneof(
      fc.record({ kind: fc.constant('add' as const), tenant: fc.constantFrom('a', 'b', 'c') }),
      fc.record({ kind: fc.constant('next' as const) }),
      fc.record({ kind: fc.constant('remove' as const), which: fc.nat(9) }),
    );
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
        const order = orders[name]();
        const inside = new Set<ArrivedRequest>();
        for (const one of acts) {
          if (one.kind === 'add') {
            const request = ask(one.tenant);
            inside.add(request);
            order.add(request, 0);
          } else if (one.kind === 'next') {
            const next = order.next();
            assert.equal(next === undefined, inside.size === 0);
            if (next !== undefined) assert.ok(inside.delete(next));
          } else {
            const request = [...inside][one.which] ?? ask('gone');
            assert.equal(order.remove(request), inside.delete(request));
          }
          assert.equal(order.size, inside.size);
        }
      }),
      { numRuns: 200, seed: 1 },
    );
  });
}
