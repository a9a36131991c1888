/** Enrolment: C1, its refusals, and what a retry gets. */
import assert from 'node:assert/strict';
import type { AgentRow } from '../../store/contract/agentStore.ts';
import type { EnrollInput, EnrollOutcome } from '../../store/contract/enrolmentStore.ts';
import type { Store } from '../../store/store.ts';
import type { StoreCases } from './storeCases.ts';
import {
  agentRow,
  auditNote,
  bootstrapRows,
  joinKeyRow,
  joinSecretHash,
  startMs,
  tokenHash,
} from '../database/storeRows.ts';
import { agentsOf } from '../router/agentsOf.ts';
import { rotateToken } from './rotateToken.ts';

const retryGraceMs = 300_000;

/** The input of an enrolment of agent `number`, with what a retry has read before it. */
export function enrollInput(agent: AgentRow, over: Partial<EnrollInput> = {}): EnrollInput {
  return {
    joinKeyId: agent.joinKeyId,
    secretSha256: joinSecretHash,
    nowMs: startMs + 1_000,
    agent,
    resume: null,
    retryGraceMs,
    ...over,
  };
}

/** What a caller makes of an agent that it has read. */
export function resumeOf({ id, generation }: AgentRow): NonNullable<EnrollInput['resume']> {
  const next = generation + 2;
  return { agentId: id, generation, next: { generation: next, tokenHash: tokenHash(id, next) } };
}

/** `proj_a` with one join key. */
export async function withJoinKey(
  store: Store,
  over: Parameters<typeof joinKeyRow>[0] = {},
): Promise<void> {
  await store.bootstrap(bootstrapRows());
  await store.insertJoinKey({ row: joinKeyRow(over), audit: auditNote() });
}

/** Enrols agent `number` and says what came of it: the reason of a refusal, or `created`. */
export async function enrolled(store: Store, number: number): Promise<AgentRow> {
  const outcome = await store.enroll(enrollInput(agentRow(number)));
  assert.ok(outcome.ok, `agent ${number} was not enrolled`);
  return outcome.agent;
}

function word(outcome: EnrollOutcome): string {
  if (!outcome.ok) return outcome.reason;
  return outcome.resumed ? 'resumed' : 'created';
}

async function usesOf(store: Store, id = 'jk_a'): Promise<number | undefined> {
  return (await store.joinKeyById(id))?.uses;
}

async function burst(
  stores: [Store, Store],
  { agents, maxUses }: { agents: number; maxUses: number },
): Promise<void> {
  const [store] = stores;
  await withJoinKey(store, { maxUses });
  const outcomes = await Promise.all(
    Array.from({ length: agents }, (_none, at) =>
      (stores[at % 2] as Store).enroll(enrollInput(agentRow(at))),
    ),
  );
  const words = outcomes.map(word).toSorted();
  const refused = Array.from({ length: agents - maxUses }, () => 'used_up');
  assert.deepEqual(words, [...Array.from({ length: maxUses }, () => 'created'), ...refused]);
  assert.equal((await agentsOf(store, 'proj_a')).length, maxUses);
  assert.equal(await usesOf(store), maxUses);
}

const concurrencyCases: StoreCases = {
  '64 machines at once share a join key with one use (C1)': async ({ store, another }) => {
    const other = another();
    await other.open();
    await burst([store, other], { agents: 64, maxUses: 1 });
    await other.close();
  },

  '64 machines at once get more than the five uses of a join key (C1)': async (fixture) => {
    const other = fixture.another();
    await other.open();
    await burst([fixture.store, other], { agents: 64, maxUses: 5 });
    await other.close();
  },

  'one machine that enrols 64 times at once becomes two agents': async ({ store, another }) => {
    const other = another();
    await other.open();
    await withJoinKey(store, { maxUses: 64 });
    const outcomes = await Promise.all(
      Array.from({ length: 64 }, (_none, at) =>
        (at % 2 === 0 ? store : other).enroll(
          enrollInput(agentRow(at, { publicKey: 'the same', name: `name-${at}` })),
        ),
      ),
    );
    assert.equal(outcomes.filter((outcome) => word(outcome) === 'created').length, 1);
    assert.equal(outcomes.filter((outcome) => word(outcome) === 'stale').length, 63);
    assert.equal(await usesOf(store), 1);
    await other.close();
  },

  'two retries at once both believe that their token is the good one': async ({ store }) => {
    await withJoinKey(store);
    const agent = await enrolled(store, 1);
    const input = enrollInput(agentRow(2, { publicKey: agent.publicKey }), {
      resume: resumeOf(agent),
    });
    const outcomes = await Promise.all(Array.from({ length: 16 }, () => store.enroll(input)));
    assert.equal(outcomes.filter((outcome) => word(outcome) === 'resumed').length, 1);
    assert.equal(outcomes.filter((outcome) => word(outcome) === 'stale').length, 15);
    assert.equal((await store.agentById(agent.id))?.generation, 3);
  },

  'two join keys of one owner give one name to two agents': async ({ store, another }) => {
    const other = another();
    await other.open();
    await withJoinKey(store);
    await store.insertJoinKey({ row: joinKeyRow({ id: 'jk_b' }), audit: auditNote() });
    const outcomes = await Promise.all([
      store.enroll(enrollInput(agentRow(1, { name: 'desk' }))),
      other.enroll(enrollInput(agentRow(2, { name: 'desk', joinKeyId: 'jk_b' }))),
    ]);
    assert.deepEqual(outcomes.map(word).toSorted(), ['created', 'name_taken']);
    const [first] = await agentsOf(store, 'proj_a');
    assert.ok(first);
    const dead = { agentId: first.id, state: 'dead', atMs: startMs, actor: 'a', reason: 'b' };
    await store.setAgentState({ audit: auditNote(), ...dead, state: 'dead' });
    const joinKeyId = first.joinKeyId === 'jk_a' ? 'jk_b' : 'jk_a';
    const next = agentRow(3, { name: 'desk', joinKeyId });
    assert.equal(word(await store.enroll(enrollInput(next))), 'created');
    await other.close();
  },
};

const refusalCases: StoreCases = {
  'a key that is wrong, old, revoked or used up enrols': async ({ store }) => {
    await withJoinKey(store);
    const tried = async (over: Partial<EnrollInput>): Promise<string> =>
      word(await store.enroll(enrollInput(agentRow(1), over)));
    assert.equal(await tried({ joinKeyId: 'jk_x' }), 'unknown_key');
    assert.equal(await tried({ secretSha256: 'f'.repeat(64) }), 'wrong_secret');
    assert.equal(await tried({ nowMs: startMs + 900_000 }), 'expired');
    assert.equal(await usesOf(store), 0);
    assert.equal(await tried({}), 'created');
    assert.equal(word(await store.enroll(enrollInput(agentRow(2)))), 'used_up');
    await store.revokeJoinKey({
      audit: auditNote(),
      id: 'jk_a',
      projectId: 'proj_a',
      nowMs: startMs + 5,
    });
    assert.equal(word(await store.enroll(enrollInput(agentRow(2)))), 'revoked');
    assert.equal((await agentsOf(store, 'proj_a')).length, 1);
    assert.equal(await usesOf(store), 1);
  },

  'a wrong secret tells that a key is revoked': async ({ store }) => {
    await withJoinKey(store, { revokedAtMs: startMs });
    const input = enrollInput(agentRow(1), { secretSha256: 'f'.repeat(64) });
    assert.equal(word(await store.enroll(input)), 'wrong_secret');
  },

  'revoking a key takes its agents along, or another project revokes it': async ({ store }) => {
    await withJoinKey(store);
    const agent = await enrolled(store, 1);
    const input = { id: 'jk_a', nowMs: startMs + 5 };
    const unknown = { ok: false, reason: 'unknown' };
    assert.deepEqual(
      await store.revokeJoinKey({ audit: auditNote(), ...input, projectId: 'proj_b' }),
      unknown,
    );
    assert.deepEqual(
      await store.revokeJoinKey({ audit: auditNote(), ...input, projectId: null }),
      unknown,
    );
    assert.deepEqual(
      await store.revokeJoinKey({ audit: auditNote(), ...input, projectId: 'proj_a' }),
      { ok: true },
    );
    const later = { ...input, nowMs: startMs + 9, projectId: 'proj_a' };
    assert.deepEqual(await store.revokeJoinKey({ ...later, audit: auditNote() }), { ok: true });
    assert.equal((await store.joinKeyById('jk_a'))?.revokedAtMs, startMs + 5);
    assert.deepEqual(await store.agentById(agent.id), agent);
  },

  'an enrolment that fails half-way has consumed its use (S1)': async ({ store }) => {
    await withJoinKey(store, { maxUses: 2 });
    await enrolled(store, 1);
    const { revision } = await store.directoryHead();
    // The id of an agent that is there already, with another key pair.
    await assert.rejects(store.enroll(enrollInput(agentRow(2, { id: 'agent-0001' }))));
    assert.equal(await usesOf(store), 1);
    assert.equal((await store.directoryHead()).revision, revision);
    assert.equal(
      (await store.agentEvents({ agentId: 'agent-0001', page: { after: null, limit: 10 } })).items
        .length,
      1,
    );
    await enrolled(store, 2);
    assert.equal(await usesOf(store), 2);
  },

  'an agent is enrolled for another owner than that of its key': async ({ store }) => {
    await withJoinKey(store);
    await assert.rejects(store.enroll(enrollInput(agentRow(1, { projectId: null }))));
    assert.equal(await usesOf(store), 0);
    assert.deepEqual(await agentsOf(store, null), []);
  },

  'a field of an agent is lost or changed on its way through the tables': async ({ store }) => {
    await withJoinKey(store);
    const given = agentRow(1, { maxConcurrentRequests: 7, lastSeenAtMs: startMs + 3 });
    const outcome = await store.enroll(enrollInput(given));
    assert.deepEqual(outcome, { ok: true, agent: given, resumed: false });
    assert.deepEqual(await store.agentById(given.id), given);
    assert.deepEqual(await agentsOf(store, 'proj_a'), [given]);
    assert.deepEqual(await agentsOf(store, null), []);
    const { joinKeyId, publicKey } = given;
    assert.deepEqual(await store.agentByEnrollment({ joinKeyId, publicKey }), given);
    assert.equal(await store.agentByEnrollment({ joinKeyId: 'jk_b', publicKey }), null);
  },
};

const retryCases: StoreCases = {
  'a retry consumes a use, or its earlier tokens stay good': async ({ store }) => {
    await withJoinKey(store);
    const agent = await enrolled(store, 1);
    const again = agentRow(2, { publicKey: agent.publicKey });
    const nowMs = startMs + 2_000;
    const outcome = await store.enroll(enrollInput(again, { resume: resumeOf(agent), nowMs }));
    const expected: AgentRow = {
      ...agent,
      generation: 3,
      tokenHash: tokenHash(agent.id, 3),
      previousTokenHash: null,
      stateSinceMs: nowMs,
    };
    assert.deepEqual(outcome, { ok: true, agent: expected, resumed: true });
    assert.equal(await usesOf(store), 1);
    const change = await store.changesSince({ revision: 5, limit: 10 });
    assert.ok(change.ok);
    assert.deepEqual(change.changes.map(({ kind, id }) => [kind, id]).at(-1), ['agent', agent.id]);
  },

  'a retry is taken with tokens that do not void the earlier ones': async ({ store }) => {
    await withJoinKey(store);
    const agent = await enrolled(store, 1);
    const resume = resumeOf(agent);
    const next = { generation: 2, tokenHash: tokenHash(agent.id, 2) };
    const input = enrollInput(agentRow(1), { resume: { ...resume, next } });
    await assert.rejects(store.enroll(input));
    assert.deepEqual(await store.agentById(agent.id), agent);
  },

  'a retry works for ever, or not as long as it should': async ({ store }) => {
    await withJoinKey(store);
    let agent = await enrolled(store, 1);
    const at = async (nowMs: number): Promise<string> => {
      const outcome = await store.enroll(
        enrollInput(agentRow(1), { nowMs, resume: resumeOf(agent) }),
      );
      if (outcome.ok) agent = outcome.agent;
      return word(outcome);
    };
    assert.equal(await at(startMs + 900_000 + retryGraceMs - 1), 'resumed');
    assert.equal(await at(startMs + 900_000 + retryGraceMs), 'expired');
  },

  'an agent that has linked, or must not, is enrolled again': async ({ store }) => {
    await withJoinKey(store, { maxUses: 3 });
    const retry = async (agent: AgentRow): Promise<string> =>
      word(await store.enroll(enrollInput(agent, { resume: resumeOf(agent) })));
    const [linked, suspended, dead] = [
      await enrolled(store, 1),
      await enrolled(store, 2),
      await enrolled(store, 3),
    ];
    await store.markFirstLinked({ agentId: linked.id, atMs: startMs });
    const by = { atMs: startMs, actor: 'user:user_a', reason: 'test' };
    await store.setAgentState({
      audit: auditNote(),
      agentId: suspended.id,
      state: 'suspended',
      ...by,
    });
    await store.setAgentState({ audit: auditNote(), agentId: dead.id, state: 'dead', ...by });
    assert.equal(await retry(linked), 'already_linked');
    assert.equal(await retry(suspended), 'agent_suspended');
    assert.equal(await retry(dead), 'agent_dead');
    await store.revokeJoinKey({
      audit: auditNote(),
      id: 'jk_a',
      projectId: 'proj_a',
      nowMs: startMs,
    });
    assert.equal(await retry(linked), 'revoked');
  },

  'a retry overtakes a rotation that it has not seen': async ({ store }) => {
    await withJoinKey(store);
    const agent = await enrolled(store, 1);
    await rotateToken(store, {
      agentId: agent.id,
      presented: { generation: 1, hash: tokenHash(agent.id, 1) },
      generation: 1,
      nextHash: tokenHash(agent.id, 2),
      nowMs: startMs,
    });
    const tried = async (resume: EnrollInput['resume']): Promise<string> =>
      word(await store.enroll(enrollInput(agentRow(1), { resume })));
    assert.equal(await tried(null), 'stale');
    assert.equal(await tried(resumeOf(agent)), 'stale');
    assert.equal(await tried(resumeOf({ ...agent, id: 'agent-x', generation: 2 })), 'stale');
    assert.equal(await tried(resumeOf({ ...agent, generation: 2 })), 'resumed');
  },

  'another key pair gets the same agent, or the same one with another key': async ({ store }) => {
    await withJoinKey(store, { maxUses: 2 });
    await store.insertJoinKey({ row: joinKeyRow({ id: 'jk_b' }), audit: auditNote() });
    await enrolled(store, 1);
    assert.equal(word(await store.enroll(enrollInput(agentRow(2)))), 'created');
    assert.equal(await usesOf(store), 2);
    const elsewhere = agentRow(3, { publicKey: 'public-key-1', joinKeyId: 'jk_b' });
    assert.equal(word(await store.enroll(enrollInput(elsewhere))), 'created');
    assert.equal(await usesOf(store, 'jk_b'), 1);
  },
};

export const enrollCases: StoreCases = {
  ...concurrencyCases,
  ...refusalCases,
  ...retryCases,
};
