import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { AuditNoteAnswer } from '../../api/control/audit.ts';
import type { CreatedJoinKeyAnswer } from '../../api/control/joinKeys.ts';
import type { PageAnswer } from '../../api/control/lists.ts';
import { enrolledAgent } from '../../testing/http/controlHarness.ts';
import { openHttpHarness, type HttpHarness, type Reply } from '../../testing/http/httpHarness.ts';

let harness: HttpHarness;
let page: Record<string, string>;
before(async () => {
  harness = await openHttpHarness();
  page = await harness.signIn();
});
after(() => harness.close());

const project = '/api/v1/projects/default';

async function notes(target: string): Promise<AuditNoteAnswer[]> {
  const reply = await harness.call('GET', target, { headers: page });
  assert.equal(reply.status, 200, reply.text);
  return (reply.json as PageAnswer<AuditNoteAnswer>).data;
}

function change(method: string, target: string, body?: object): Promise<Reply> {
  return harness.call(method, target, { headers: page, body });
}

test('a change that does not stand in the log with who, whence and what (C4)', async () => {
  const made = await change('POST', `${project}/join-keys`, { name: 'lab', max_uses: 3 });
  const { id, key } = made.json as CreatedJoinKeyAnswer;
  await change('DELETE', `${project}/join-keys/${id}`);
  await change('DELETE', `${project}/join-keys/${id}`);
  const { agentId } = await enrolledAgent(harness);
  await change('POST', `${project}/agents/${agentId}/suspend`, { reason: 'too loud' });
  const all = await notes(`${project}/audit`);
  const [suspended, , revoked, created] = all;
  assert.deepEqual(
    all.slice(0, 4).map(({ action }) => action),
    ['agent.suspend', 'join_key.create', 'join_key.revoke', 'join_key.create'],
  );
  assert.equal(created?.request_id, made.headers['x-request-id']);
  assert.equal(created?.address, '127.0.0.1');
  assert.equal(created?.actor, `user:${harness.admin.principal.userId}`);
  assert.equal(created?.target_id, id);
  assert.deepEqual(created?.changes['max_uses'], { from: null, to: 3 });
  assert.equal(revoked?.target_id, id);
  assert.deepEqual(suspended?.changes['state'], { from: 'enrolled', to: 'suspended' });
  assert.ok(!JSON.stringify(all).includes(key.slice(-20)), 'a secret stands in the log');
});

test('a filter that finds other notes, or a time in another zone that is misread', async () => {
  const { managementKey, project: own } = harness.credentials;
  await harness.call('POST', `${project}/join-keys`, { key: managementKey, body: {} });
  const [byKey] = await notes(`${project}/audit?limit=1`);
  assert.match(byKey?.actor ?? '', /^key:/);
  const found = await notes(`${project}/audit?actor=${byKey?.actor ?? ''}`);
  assert.deepEqual(found, [byKey]);
  assert.ok(byKey);
  const at = Date.parse(byKey.at);
  const zoned = new Date(at + 2 * 3_600_000).toISOString().replace('Z', '%2B02:00');
  const from = await notes(`${project}/audit?from=${zoned}&action=join_key.create`);
  assert.ok(from.some(({ id }) => id === byKey.id));
  const to = await notes(`${project}/audit?to=${zoned}`);
  assert.ok(!to.some(({ id }) => id === byKey.id));
  assert.deepEqual(await notes(`${project}/audit?target_kind=unicorn`), []);
  const odd = await harness.call('GET', `${project}/audit?from=yesterday`, { headers: page });
  assert.equal(odd.status, 400);
  const platformNotes = await notes('/api/v1/platform/audit?limit=500');
  assert.ok(platformNotes.some(({ id }) => id === byKey.id));
  assert.ok(byKey.project_id === own.id);
});

test('the platform’s notes show in a project', async () => {
  const made = await change('POST', '/api/v1/platform/join-keys', {});
  const { id } = made.json as CreatedJoinKeyAnswer;
  const own = await notes(`${project}/audit?limit=500`);
  assert.ok(!own.some(({ target_id: target }) => target === id));
  const [newest] = await notes('/api/v1/platform/audit?limit=1');
  assert.deepEqual([newest?.target_id, newest?.project_id], [id, null]);
});

test('pages of the log that overlap, or a last one that leads on', async () => {
  const seen: number[] = [];
  let cursor: string | null = null;
  do {
    const after: string = cursor === null ? '' : `&after=${cursor}`;
    const target = `/api/v1/platform/audit?limit=2${after}`;
    const reply = await harness.call('GET', target, { headers: page });
    const answer = reply.json as PageAnswer<AuditNoteAnswer>;
    assert.equal(answer.has_more, answer.next_cursor !== null);
    seen.push(...answer.data.map(({ id }) => id));
    cursor = answer.next_cursor;
  } while (cursor !== null);
  const whole = await notes('/api/v1/platform/audit?limit=500');
  assert.deepEqual(
    seen,
    whole.map(({ id }) => id),
  );
});
