import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  enrollAnswerSchema,
  enrollMessage,
  joinKeyIdOf,
  refreshMessage,
} from '../api/enrollment.ts';
import { newKeyPair, publicKeyText, signText } from '../lib/crypto/ed25519.ts';
import { xeonFacts } from '../testing/http/controlHarness.ts';
import { openHttpHarness, type HttpHarness, type Reply } from '../testing/http/httpHarness.ts';

let harness: HttpHarness;
before(async () => {
  harness = await openHttpHarness();
});
after(() => harness.close());

const facts = xeonFacts;

async function nonce(): Promise<string> {
  const { json } = await harness.call('GET', '/v1/enroll/nonce');
  return (json as { nonce: string }).nonce;
}

function codeOf(reply: Reply): unknown {
  return (reply.json as { error: { code: unknown } }).error.code;
}

/** Enrols as an agent does that was given the server as `host`. */
async function enroll(given: {
  host: string;
  joinKey?: string;
  headers?: Record<string, string>;
  pair?: ReturnType<typeof newKeyPair>;
  nonce?: string;
}): Promise<Reply> {
  const joinKey = given.joinKey ?? (await harness.joinKey());
  const pair = given.pair ?? newKeyPair();
  const publicKey = publicKeyText(pair.publicKey);
  const fresh = given.nonce ?? (await nonce());
  const joinKeyId = joinKeyIdOf(joinKey) ?? '';
  const message = enrollMessage({ nonce: fresh, host: given.host, joinKeyId, publicKey, facts });
  const signature = signText({ message, privateKey: pair.privateKey });
  const body = { join_key: joinKey, nonce: fresh, public_key: publicKey, facts, signature };
  return harness.call('POST', '/v1/enroll', { body, headers: given.headers ?? {} });
}

test('an agent that cannot enrol by a name of the server', async () => {
  for (const host of [`127.0.0.1:${harness.port}`, `localhost:${harness.port}`]) {
    const reply = await enroll({ host });
    assert.equal(reply.status, 201, reply.text);
    const answer = enrollAnswerSchema.parse(reply.json);
    assert.equal(answer.expires_in, 600);
    assert.equal(new URL(answer.link_url, `${harness.base}/`).pathname, '/v1/agents/link');
    assert.equal(reply.headers['cache-control'], 'no-store');
  }
});

test('an agent one version newer, whose facts say more, cannot enrol', async () => {
  const pair = newKeyPair();
  const publicKey = publicKeyText(pair.publicKey);
  const newer = { ...facts, cpu: { ...facts.cpu, flags: ['avx512'] }, power: { watts: 300 } };
  const call = async (said: object): Promise<Reply> => {
    const joinKey = await harness.joinKey();
    const joinKeyId = joinKeyIdOf(joinKey) ?? '';
    const fresh = await nonce();
    const host = `127.0.0.1:${harness.port}`;
    const parts = { nonce: fresh, host, joinKeyId, publicKey, facts: newer };
    const signature = signText({ message: enrollMessage(parts), privateKey: pair.privateKey });
    const credentials = { join_key: joinKey, nonce: fresh, public_key: publicKey, signature };
    return harness.call('POST', '/v1/enroll', { body: { ...credentials, facts: said } });
  };
  const enrolled = await call(newer);
  assert.equal(enrolled.status, 201, enrolled.text);
  const altered = await call({ ...newer, power: { watts: 301 } });
  assert.equal(codeOf(altered), 'signature_invalid');
  const deep = JSON.parse(`${'['.repeat(3000)}${']'.repeat(3000)}`) as unknown;
  const nested = await call({ ...newer, power: deep });
  assert.deepEqual([nested.status, codeOf(nested)], [400, 'invalid_value']);
});

test('a proxy that rewrites Host and keeps agents from enrolling', async () => {
  const headers = { host: 'inner:1234' };
  const reply = await enroll({ host: `127.0.0.1:${harness.port}`, headers });
  assert.equal(reply.status, 201);
});

test('an enrolment that a foreign server passes on to us', async () => {
  const host = 'evil.example';
  for (const headers of [{}, { host }]) {
    const reply = await enroll({ host, headers });
    assert.equal(reply.status, 401);
    assert.equal(codeOf(reply), 'signature_invalid');
  }
});

test('a refusal that does not say what is wrong with the join key', async () => {
  const host = `127.0.0.1:${harness.port}`;
  const used = await harness.joinKey();
  assert.equal((await enroll({ host, joinKey: used })).status, 201);
  const cases: [string, string][] = [
    [used, 'join_key_used_up'],
    ['nonsense', 'join_key_invalid'],
    [`${used}x`, 'join_key_invalid'],
  ];
  for (const [joinKey, code] of cases) {
    const reply = await enroll({ host, joinKey });
    assert.deepEqual([reply.status, codeOf(reply)], [401, code]);
    assert.ok(!reply.text.includes(joinKey) || joinKey === 'nonsense');
  }
});

test('an enrolment that is replayed', async () => {
  const host = `127.0.0.1:${harness.port}`;
  const joinKey = await harness.joinKey({ maxUses: 2 });
  const once = await nonce();
  const pair = newKeyPair();
  assert.equal((await enroll({ host, joinKey, pair, nonce: once })).status, 201);
  const again = await enroll({ host, joinKey, pair, nonce: once });
  assert.deepEqual([again.status, codeOf(again)], [401, 'nonce_invalid']);
});

test('a refresh that needs anything but the body', async () => {
  const pair = newKeyPair();
  const enrolled = await enroll({ host: `127.0.0.1:${harness.port}`, pair });
  const { agent_id: agentId, rotation_token: rotationToken } = enrollAnswerSchema.parse(
    enrolled.json,
  );
  const fresh = await nonce();
  const message = refreshMessage({ agentId, rotationToken, nonce: fresh });
  const signature = signText({ message, privateKey: pair.privateKey });
  const body = { agent_id: agentId, rotation_token: rotationToken, nonce: fresh, signature };
  const wrong = await harness.call('POST', '/v1/enroll/refresh', {
    key: harness.credentials.managementKey,
    body: { ...body, signature: signature.replace(/^./, (c) => (c === 'A' ? 'B' : 'A')) },
  });
  assert.deepEqual([wrong.status, codeOf(wrong)], [401, 'signature_invalid']);
  const second = await nonce();
  const good = refreshMessage({ agentId, rotationToken, nonce: second });
  const reply = await harness.call('POST', '/v1/enroll/refresh', {
    body: {
      ...body,
      nonce: second,
      signature: signText({ message: good, privateKey: pair.privateKey }),
    },
  });
  assert.equal(reply.status, 200, reply.text);
  const answer = reply.json as { rotation_token: string };
  assert.notEqual(answer.rotation_token, rotationToken);
});

/** An agent that its owner has suspended, and the body of its next refresh. */
async function suspendedAgent(): Promise<{
  agentId: string;
  refresh: (waitSeconds: number) => Promise<Reply>;
  resume: () => Promise<Reply>;
}> {
  const pair = newKeyPair();
  const enrolled = await enroll({ host: `127.0.0.1:${harness.port}`, pair });
  const { agent_id: agentId, rotation_token: rotationToken } = enrollAnswerSchema.parse(
    enrolled.json,
  );
  const key = harness.credentials.managementKey;
  const order = (what: string): Promise<Reply> =>
    harness.call('POST', `/api/v1/projects/default/agents/${agentId}/${what}`, { key, body: {} });
  assert.equal((await order('suspend')).status, 200);
  const refresh = async (waitSeconds: number): Promise<Reply> => {
    const fresh = await nonce();
    const message = refreshMessage({ agentId, rotationToken, nonce: fresh });
    const signature = signText({ message, privateKey: pair.privateKey });
    const named = { agent_id: agentId, rotation_token: rotationToken, nonce: fresh, signature };
    const body = { ...named, wait_seconds: waitSeconds };
    return harness.call('POST', '/v1/enroll/refresh', { body });
  };
  return { agentId, refresh, resume: () => order('resume') };
}

test('a suspended agent hears of its resume only when it happens to ask', async () => {
  const { refresh, resume } = await suspendedAgent();
  let answered = false;
  const held = refresh(30).finally(() => {
    answered = true;
  });
  // A refresh that is not held comes back after the one that is.
  assert.deepEqual(codeOf(await refresh(0)), 'agent_suspended');
  assert.equal(answered, false);
  assert.equal((await resume()).status, 200);
  const reply = await held;
  assert.equal(reply.status, 200, reply.text);
});

test('a suspended agent is held for ever, or for longer than a server may', async () => {
  const { refresh } = await suspendedAgent();
  const reply = await refresh(0.05);
  assert.deepEqual([reply.status, codeOf(reply)], [403, 'agent_suspended']);
  const greedy = await refresh(31);
  assert.deepEqual([greedy.status, codeOf(greedy)], [400, 'invalid_value']);
});

test('a stranger who knows an agent’s id is held until it is resumed', async () => {
  const { agentId } = await suspendedAgent();
  const fresh = await nonce();
  const body = { agent_id: agentId, rotation_token: 'xrt_1_x', nonce: fresh, signature: 'x' };
  const reply = await harness.call('POST', '/v1/enroll/refresh', {
    body: { ...body, wait_seconds: 30 },
  });
  assert.deepEqual([reply.status, codeOf(reply)], [401, 'signature_invalid']);
});

test('bodies that no agent would send', async () => {
  const missing = await harness.call('POST', '/v1/enroll', { body: { nonce: 'x' } });
  assert.deepEqual([missing.status, codeOf(missing)], [400, 'missing_required_parameter']);
  const text = await harness.call('POST', '/v1/enroll', { body: 'no json' });
  assert.deepEqual([text.status, codeOf(text)], [400, null]);
  const large = await harness.call('POST', '/v1/enroll', { body: { nonce: 'x'.repeat(100_000) } });
  assert.deepEqual([large.status, codeOf(large)], [413, 'request_too_large']);
  const bad = { join_key: 'x', nonce: 'x', public_key: 'x', signature: 'x' };
  const cores = { ...facts, cpu: { ...facts.cpu, cores: 0 } };
  const reply = await harness.call('POST', '/v1/enroll', { body: { ...bad, facts: cores } });
  assert.equal(reply.status, 400);
});

test('a flood of enrolments from one address', async () => {
  const flooded = await openHttpHarness({
    limits: {
      perAddress: {
        sign_in: { burst: 1, perSecond: 0.01 },
        nonce: { burst: 2, perSecond: 0.01 },
        enroll: { burst: 1, perSecond: 0.01 },
        refresh: { burst: 1, perSecond: 0.01 },
        link: { burst: 1, perSecond: 0.01 },
        change: { burst: 1, perSecond: 0.01 },
      },
    },
  });
  try {
    const statuses = [];
    for (let at = 0; at < 3; at += 1) {
      statuses.push((await flooded.call('GET', '/v1/enroll/nonce')).status);
    }
    assert.deepEqual(statuses, [200, 200, 429]);
    await flooded.call('POST', '/v1/enroll', { body: {} });
    const limited = await flooded.call('POST', '/v1/enroll', { body: {} });
    assert.equal(limited.status, 429);
    assert.equal(limited.headers['retry-after'], '60');
  } finally {
    await flooded.close();
  }
});
