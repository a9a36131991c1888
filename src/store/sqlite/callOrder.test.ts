import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MethodName } from '../methods.ts';
import { CallOrder } from './callOrder.ts';
import type { ToWorker } from './workerMessages.ts';

const call = (id: number, name: MethodName): ToWorker => ({
  kind: 'call',
  id,
  call: { name, args: [] },
});

/** Ids in the order in which they come out. */
function drain(order: CallOrder): (number | string)[] {
  const out: (number | string)[] = [];
  for (let next = order.next(); next !== undefined; next = order.next()) {
    out.push(next.kind === 'call' ? next.id : next.kind);
  }
  return out;
}

void test('a sign-in waits behind the usage of a thousand requests', () => {
  const order = new CallOrder();
  for (let id = 1; id <= 3; id += 1) order.push(call(id, 'recordUsage'));
  order.push(call(4, 'insertSession'));
  order.push(call(5, 'markSeen'));
  order.push(call(6, 'enroll'));
  assert.deepEqual(drain(order), [4, 6, 1, 2, 3, 5]);
  assert.deepEqual(drain(order), []);
});

void test('a sign-in waits behind the refreshes of a rack, or these behind usage', () => {
  const order = new CallOrder();
  order.push(call(1, 'recordUsage'));
  order.push(call(2, 'rotateTokens'));
  order.push(call(3, 'rotateTokens'));
  order.push(call(4, 'insertSession'));
  assert.deepEqual(drain(order), [4, 2, 3, 1]);
});

void test('refreshes starve while people are busy, or upkeep while both are', () => {
  const order = new CallOrder();
  order.push(call(0, 'recordUsage'));
  for (let id = 1; id <= 40; id += 1) {
    order.push(call(id, id % 2 === 0 ? 'rotateTokens' : 'insertSession'));
  }
  const out = drain(order);
  assert.ok(out.indexOf(2) <= 9, `the first refresh was number ${out.indexOf(2)}`);
  assert.ok(out.indexOf(0) <= 9, `upkeep was number ${out.indexOf(0)}`);
});

void test('upkeep starves while people are busy', () => {
  const order = new CallOrder();
  order.push(call(0, 'recordUsage'));
  for (let id = 1; id <= 12; id += 1) order.push(call(id, 'insertSession'));
  const out = drain(order);
  assert.equal(out.indexOf(0), 8);
  assert.deepEqual(
    out.filter((id) => id !== 0),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
  );
});

void test('closing drops the calls that were made before', () => {
  const order = new CallOrder();
  order.push({ kind: 'open' });
  order.push(call(1, 'recordUsage'));
  order.push({ kind: 'close' });
  order.push(call(2, 'insertSession'));
  assert.deepEqual(drain(order), ['open', 2, 1, 'close']);
});
