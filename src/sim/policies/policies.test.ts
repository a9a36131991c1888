/** Each published rule in small situations whose answer its rule gives. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../lib/random.ts';
import { InstanceAccount, type Dispatched } from './instanceAccount.ts';
import { policies } from './policies.ts';
import type { Policy } from './policy.ts';
import type { PublishedName } from './policyNames.ts';

const blockTokens = 512;

/** An instance by its id. */
function fleet(count: number): InstanceAccount[] {
  return Array.from(
    { length: count },
    (_none, id) =>
      new InstanceAccount({ id, hardware: 'A100', slots: 256, kvTokens: 430_000 }, { blockTokens }),
  );
}

const policyOf = (name: PublishedName): Policy => policies[name]({ random: seededRandom(1) });

let nextId = 1;

/** A prompt of whole blocks; `blocks` of the same begin are a shared prefix. */
function prompt(blocks: readonly number[], inputTokens = blocks.length * blockTokens) {
  nextId += 1;
  return { id: nextId, tenant: 'all', inputTokens, blocks, blockTokens };
}

/** Sends one there, as the router does. */
function send(
  to: { policy?: Policy; account: InstanceAccount },
  request: ReturnType<typeof prompt>,
  nowMs = 0,
): Dispatched {
  const dispatched = to.account.dispatch(request);
  to.policy?.dispatched?.(dispatched, nowMs);
  return dispatched;
}

/** Where a rule sends it, asked often: rules with a random part say several. */
function choices(
  policy: Policy,
  accounts: readonly InstanceAccount[],
  how: { request?: ReturnType<typeof prompt>; nowMs?: number } = {},
): number[] {
  const { request = prompt([], 100), nowMs = 0 } = how;
  const ids = Array.from({ length: 60 }, () => policy.choose(request, accounts, nowMs).facts.id);
  return [...new Set(ids)].toSorted((one, other) => one - other);
}

const range = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_none, at) => from + at);

test('round-robin that skips or repeats somebody', () => {
  const policy = policyOf('round-robin');
  const [a, b, c] = fleet(3) as [InstanceAccount, InstanceAccount, InstanceAccount];
  const next = (...candidates: InstanceAccount[]): number =>
    policy.choose(prompt([], 1), candidates, 0).facts.id;
  assert.deepEqual([next(a, b, c), next(a, b, c), next(a, b, c), next(a, b, c)], [0, 1, 2, 0]);
  // One that may take nothing now is passed over, and its turn with it.
  assert.deepEqual([next(a, c), next(a, b, c), next(b)], [2, 0, 1]);
});

test('random that leaves somebody out', () => {
  assert.deepEqual(choices(policyOf('random'), fleet(3)), [0, 1, 2]);
});

test('least-requests that counts anything but requests without an end', () => {
  const [a, b, c] = fleet(3) as [InstanceAccount, InstanceAccount, InstanceAccount];
  const first = send({ account: a }, prompt([], 10));
  send({ account: b }, prompt([], 100_000));
  send({ account: c }, prompt([], 10));
  send({ account: c }, prompt([], 10));
  assert.deepEqual(choices(policyOf('least-requests'), [a, b, c]), [0, 1]);
  // A first byte is no end.
  a.firstByte(first);
  assert.deepEqual(choices(policyOf('least-requests'), [a, b, c]), [0, 1]);
  a.end(first);
  assert.deepEqual(choices(policyOf('least-requests'), [a, b, c]), [0]);
});

test('power-of-two that takes the fullest of all, or looks at one only', () => {
  const accounts = fleet(3);
  for (const account of accounts) {
    for (const _one of range(0, account.facts.id)) send({ account }, prompt([], 10));
  }
  assert.deepEqual(choices(policyOf('power-of-two'), accounts), [0, 1]);
  assert.deepEqual(choices(policyOf('power-of-two'), accounts.slice(2)), [2]);
});

test('least-tokens that counts requests', () => {
  const [a, b] = fleet(2) as [InstanceAccount, InstanceAccount];
  send({ account: a }, prompt([], 5_000));
  for (const _one of range(0, 4)) send({ account: b }, prompt([], 1_000));
  assert.deepEqual(choices(policyOf('least-tokens'), [a, b]), [1]);
});

test('sglang-cache-aware on the wrong side of one of its three thresholds', () => {
  const policy = policyOf('sglang-cache-aware');
  const [a, b, c] = fleet(3) as [InstanceAccount, InstanceAccount, InstanceAccount];
  send({ account: a }, prompt(range(100, 20)));
  send({ account: b }, prompt(range(200, 30)));
  send({ account: c }, prompt(range(300, 10)));
  const to = (blocks: number[]): number[] =>
    choices(policy, [a, b, c], { request: prompt(blocks) });
  // Four of ten are a match; three of ten are not more than 0.3: the smallest tree.
  assert.deepEqual(to([...range(200, 4), ...range(900, 6)]), [1]);
  assert.deepEqual(to([...range(200, 3), ...range(900, 7)]), [2]);
  // 64 more than the fewest is still balanced, 65 more is not.
  for (const _one of range(0, 64)) send({ account: b }, prompt([], 10));
  assert.deepEqual(to(range(200, 10)), [1]);
  send({ account: b }, prompt([], 10));
  assert.deepEqual(to(range(200, 10)), [0, 2]);
  // It has to be 1.5 times as many, too.
  for (const _one of range(0, 140)) for (const account of [a, c]) send({ account }, prompt([], 10));
  for (const _one of range(0, 140)) send({ account: b }, prompt([], 10));
  assert.deepEqual(to(range(200, 10)), [1]);
});

test('dynamo-cost that forgets a part of its cost', () => {
  const policy = policyOf('dynamo-cost');
  const [a, b] = fleet(2) as [InstanceAccount, InstanceAccount];
  const decoding = send({ account: a }, prompt(range(100, 10)));
  a.firstByte(decoding);
  // On a: 2 to prefill and 12 to hold. On b: 12 and 12. A hit wins.
  const goesOn = prompt([...range(100, 10), 1, 2]);
  assert.deepEqual(choices(policy, [a, b], { request: goesOn }), [0]);
  // What shares nothing costs 12 on both, and a holds 10 more.
  assert.deepEqual(choices(policy, [a, b], { request: prompt(range(500, 12)) }), [1]);
  // Prefill that is on its way to a: 11 more than the hit saves.
  send({ account: a }, prompt([], 11 * blockTokens));
  assert.deepEqual(choices(policy, [a, b], { request: goesOn }), [1]);
  // After its end a holds none of it but may have it cached.
  a.end(decoding);
  assert.equal(a.blocksWith(prompt(range(100, 10))), 11 + 10);
  assert.equal(a.uncachedTokens(prompt(range(100, 10))), 1);
});

test('lmetric that adds where it has to multiply', () => {
  const policy = policyOf('lmetric');
  const [a, b] = fleet(2) as [InstanceAccount, InstanceAccount];
  // a: batch of 3, nothing pending; b: batch of 1 with 2,000 pending.
  for (const _one of range(0, 3)) a.firstByte(send({ account: a }, prompt([], 10)));
  send({ account: b }, prompt([], 2_000));
  // 3 × 800 < 1 × 2,800, but 3 × 1,200 > 1 × 3,200.
  assert.deepEqual(choices(policy, [a, b], { request: prompt([], 800) }), [0]);
  assert.deepEqual(choices(policy, [a, b], { request: prompt([], 1_200) }), [1]);
});

test('mooncake-ttft that does not see what is queued, cached or done already', () => {
  const policy = policyOf('mooncake-ttft');
  const [a, b] = fleet(2) as [InstanceAccount, InstanceAccount];
  const first = send({ policy, account: a }, prompt(range(100, 20)), 1_000);
  send({ policy, account: a }, prompt(range(400, 20)), 1_000);
  send({ policy, account: b }, prompt(range(200, 30)), 1_000);
  const fresh = prompt(range(800, 8));
  assert.deepEqual(choices(policy, [a, b], { request: fresh, nowMs: 1_000 }), [1]);
  // A cached prefix outweighs a shorter queue, but not a much shorter one.
  const goesOn = prompt([...range(100, 20), 1]);
  assert.deepEqual(choices(policy, [a, b], { request: goesOn, nowMs: 1_000 }), [0]);
  // The first byte of the first one: 20 blocks are left on a.
  a.firstByte(first);
  policy.firstByte?.(first, 1_100);
  assert.deepEqual(choices(policy, [a, b], { request: fresh, nowMs: 1_100 }), [0]);
  const waitMs = (account: InstanceAccount, nowMs: number): number =>
    policy.predict?.(prompt([], 1), account, nowMs).ttftMs ?? 0;
  // Time that the head has had counts, up to what it was predicted to take.
  const before = waitMs(a, 1_100);
  assert.ok(Math.abs(before - waitMs(a, 1_300) - 200) < 1e-6);
  assert.ok(waitMs(a, 60_000) < 1);
});

test('an index that grows without a bound, or forgets what was sent last', () => {
  const [a] = fleet(1) as [InstanceAccount];
  for (const chat of range(0, 50)) send({ account: a }, prompt(range(chat * 100, 40)));
  assert.equal(a.index.size, Math.floor(430_000 / blockTokens));
  assert.equal(a.index.match(range(4_900, 40)), 40);
  assert.equal(a.index.match(range(0, 40)), 0);
});

test('an account that does not come back to nothing', () => {
  const [a] = fleet(1) as [InstanceAccount];
  const all = range(0, 30).map((at) =>
    send({ account: a }, prompt(at % 2 === 0 ? range(at, 9) : [], 4_000)),
  );
  for (const [at, dispatched] of all.entries()) {
    if (at % 3 > 0) a.firstByte(dispatched);
    if (at % 3 === 2) a.firstByte(dispatched);
    a.end(dispatched);
  }
  assert.deepEqual([a.inFlight, a.inputTokens, a.pendingTokens], [0, 0, 0]);
  assert.equal(a.blocksWith(prompt([], 1)), 1);
});
