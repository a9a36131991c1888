import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { CreatedJoinKeyAnswer, JoinKeyAnswer } from '../../api/control/joinKeys.ts';
import type { PageAnswer } from '../../api/control/lists.ts';
import { sha256Hex } from '../../lib/crypto/hashing.ts';
import { openHttpHarness, type HttpHarness, type Reply } from '../../testing/http/httpHarness.ts';
import { onBothDatabases, type NewDatabase } from '../../testing/database/onBothDatabases.ts';

const target = '/api/v1/projects/default/join-keys';

await onBothDatabases(checkRepeatedCalls);

function checkRepeatedCalls(newDatabase: NewDatabase): void {
  let harness: HttpHarness;
  let page: Record<string, string>;
  before(async () => {
    harness = await openHttpHarness(await newDatabase());
    page = await harness.signIn();
  });
  after(() => harness.close());

  let used = 0;

  function create(key: string, body: object = {}, as: { key?: string } = {}): Promise<Reply> {
    const headers = { ...(as.key === undefined ? page : {}), 'idempotency-key': key };
    return harness.call('POST', target, { ...as, headers, body });
  }

  async function keys(): Promise<string[]> {
    const reply = await harness.call('GET', `${target}?limit=500`, { headers: page });
    return (reply.json as PageAnswer<JoinKeyAnswer>).data.map(({ id }) => id);
  }

  const newKey = (): string => `order-${(used += 1)}`;

  test('64 calls at once under one key make two things (C5)', async () => {
    const before = (await keys()).length;
    const key = newKey();
    const replies = await Promise.all(Array.from({ length: 64 }, () => create(key)));
    assert.equal((await keys()).length, before + 1);
    const made = replies.filter(({ status }) => status === 201);
    assert.ok(made.length >= 1);
    assert.equal(new Set(made.map(({ text }) => text)).size, 1);
    const others = replies.filter(({ status }) => status !== 201);
    assert.ok(others.every(({ status }) => status === 409));
  });

  test('a repeated call gets another secret, or does not say that it was repeated', async () => {
    const key = newKey();
    const first = await create(key, { name: 'lab' });
    const again = await create(key, { name: 'lab' });
    assert.equal(first.status, 201);
    assert.equal(first.headers['idempotent-replayed'], undefined);
    assert.equal(again.status, 201);
    assert.equal(again.headers['idempotent-replayed'], 'true');
    assert.equal(again.text, first.text);
    assert.notEqual(again.headers['x-request-id'], first.headers['x-request-id']);
    assert.match((again.json as CreatedJoinKeyAnswer).key, /^xjk_/);
  });

  test('another request under a used key is taken for the first one', async () => {
    const key = newKey();
    assert.equal((await create(key, { name: 'one' })).status, 201);
    const other = await create(key, { name: 'two' });
    assert.equal(other.status, 409);
    assert.equal((other.json as { error: { code: string } }).error.code, 'conflict');
    // Somebody else may use the same word.
    const { managementKey } = harness.credentials;
    assert.equal((await create(key, { name: 'two' }, { key: managementKey })).status, 201);
  });

  test('a refusal by the contract uses a key up; one by the use-case is forgotten', async () => {
    const key = newKey();
    assert.equal((await create(key, { nonsense: 1 })).status, 400);
    const refused = await create(key, { ttl_seconds: 9999 });
    assert.equal(refused.status, 400);
    const again = await create(key, { ttl_seconds: 9999 });
    assert.equal(again.text, refused.text);
    assert.equal(again.headers['idempotent-replayed'], 'true');
  });

  test('a key that is too long, empty or no text', async () => {
    for (const key of ['x'.repeat(256), '', 'ü']) {
      const reply = await create(key);
      const { error } = reply.json as { error: { code: string; param: string } };
      assert.deepEqual([reply.status, error.param], [400, 'idempotency-key'], key);
    }
  });

  test('the secret of an answer that is kept stands readable in the database', async () => {
    const key = newKey();
    const made = (await create(key)).json as CreatedJoinKeyAnswer;
    const { control, store } = harness;
    const request = ['POST', target, Buffer.from('{}')];
    const outcome = await store.claimIdempotencyKey({
      caller: `user:${harness.admin.principal.userId}`,
      key,
      claimId: 'claim_test',
      requestSha256: sha256Hex(request.map((part) => sha256Hex(part)).join(' ')),
      nowMs: harness.clock.now(),
      abandonedBeforeMs: 0,
      expiresAtMs: harness.clock.now(),
    });
    assert.ok(outcome.ok && outcome.answer !== null);
    const stored = Buffer.from(outcome.answer.sealedBody.split('.')[1] ?? '', 'base64url');
    assert.ok(stored.length > made.key.length && !stored.includes(made.key.slice(-20)));
    const begun = await control.beginIdempotentCall({ caller: harness.admin, key, request });
    assert.ok(begun.ok && begun.kind === 'repeated');
    assert.ok(begun.answer.body.includes(made.key));
  });

  test('a server that dies between change and answer makes the thing again (C5)', async () => {
    const key = newKey();
    const { control, clock } = harness;
    const request = ['POST', target, Buffer.from('{}')];
    const begun = await control.beginIdempotentCall({ caller: harness.admin, key, request });
    assert.ok(begun.ok && begun.kind === 'fresh');
    const owner = { kind: 'project', project: 'default' } as const;
    const made = await control.createJoinKey({ caller: begun.caller, owner, wish: {} });
    assert.ok(made.ok);
    const before = await keys();
    // Here it dies: the answer is never kept.
    assert.equal((await create(key)).status, 409);
    clock.advance(61_000);
    const late = await create(key);
    assert.equal(late.status, 409);
    assert.match(late.text, /was carried out/);
    assert.deepEqual(await keys(), before);
  });

  test('a server that dies before the change blocks the key for ever', async () => {
    const key = newKey();
    const { control, clock } = harness;
    const request = ['POST', target, Buffer.from('{}')];
    const begun = await control.beginIdempotentCall({ caller: harness.admin, key, request });
    assert.ok(begun.ok && begun.kind === 'fresh');
    assert.equal((await create(key)).status, 409);
    clock.advance(61_000);
    assert.equal((await create(key)).status, 201);
    // The one that was only slow comes too late to change anything.
    const owner = { kind: 'project', project: 'default' } as const;
    const late = control.createJoinKey({ caller: begun.caller, owner, wish: {} });
    await assert.rejects(late, { name: 'StoreError', kind: 'unavailable' });
  });
}
