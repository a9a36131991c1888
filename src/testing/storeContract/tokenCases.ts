/** The rotation-token flow. */
import assert from 'node:assert/strict';
import type { RotateInput, RotateOutcome } from '../../store/contract/enrolmentStore.ts';
import type { Store } from '../../store/store.ts';
import type { StoreCases } from './storeCases.ts';
import { auditNote, startMs, tokenHash } from '../database/storeRows.ts';
import { enrolled, withJoinKey } from './enrollCases.ts';
import { rotateToken } from './rotateToken.ts';

interface Presented {
  agentId: string;
  token: number;
  generation: number;
}

/** Presents the token of one generation, as a caller that has read `generation`. */
function present(store: Store, presented: Presented): Promise<RotateOutcome> {
  return rotateToken(store, rotation(presented));
}

function rotation({ agentId, token, generation }: Presented): RotateInput {
  return {
    agentId,
    presented: { generation: token, hash: tokenHash(agentId, token) },
    generation,
    nextHash: tokenHash(agentId, Math.max(generation, token) + 1),
    nowMs: startMs + 5_000,
  };
}

const next = (generation: number): RotateOutcome => ({ ok: true, generation, ahead: false });

export const tokenCases: StoreCases = {
  '64 refreshes at once yield more than one successor': async ({ store, another }) => {
    const other = another();
    await other.open();
    await withJoinKey(store);
    const { id: agentId } = await enrolled(store, 1);
    const outcomes = await Promise.all(
      Array.from({ length: 64 }, (_none, at) =>
        present(at % 2 === 0 ? store : other, { agentId, token: 1, generation: 1 }),
      ),
    );
    for (const outcome of outcomes) assert.deepEqual(outcome, next(2));
    const agent = await store.agentById(agentId);
    assert.equal(agent?.generation, 2);
    assert.equal(agent?.tokenHash, tokenHash(agentId, 2));
    assert.equal(agent?.previousTokenHash, tokenHash(agentId, 1));
    assert.equal(agent?.state, 'enrolled');
    await other.close();
  },

  'rotations that go together mix their agents up, or lose one': async ({ store, another }) => {
    const other = another();
    await other.open();
    await withJoinKey(store, { maxUses: 3 });
    const ids: string[] = [];
    for (const number of [1, 2, 3]) ids.push((await enrolled(store, number)).id);
    const [one = '', two = '', three = ''] = ids;
    const inputs = [
      rotation({ agentId: three, token: 1, generation: 1 }),
      rotation({ agentId: one, token: 1, generation: 1 }),
      rotation({ agentId: 'agent-none', token: 1, generation: 1 }),
      rotation({ agentId: three, token: 1, generation: 1 }),
      rotation({ agentId: two, token: 1, generation: 5 }),
    ];
    // The other way round from another process at the same time: neither waits for ever.
    const [outcomes, reversed] = await Promise.all([
      store.rotateTokens(inputs),
      other.rotateTokens(inputs.toReversed()),
    ]);
    const unknown = { ok: false, reason: 'unknown_agent' } as const;
    const stale = { ok: false, reason: 'stale' } as const;
    assert.deepEqual(outcomes, [next(2), next(2), unknown, next(2), stale]);
    assert.deepEqual(reversed, [stale, next(2), unknown, next(2), next(2)]);
    const generations = await Promise.all(ids.map((id) => store.agentById(id)));
    assert.deepEqual(
      generations.map((agent) => agent?.generation),
      [2, 1, 2],
    );
    assert.deepEqual(await store.rotateTokens([]), []);
    await other.close();
  },

  'a lost answer costs the agent its token': async ({ store }) => {
    await withJoinKey(store);
    const { id: agentId } = await enrolled(store, 1);
    assert.deepEqual(await present(store, { agentId, token: 1, generation: 1 }), next(2));
    for (const generation of [2, 1, 2]) {
      assert.deepEqual(await present(store, { agentId, token: 1, generation }), next(2));
    }
    assert.deepEqual(await present(store, { agentId, token: 2, generation: 2 }), next(3));
  },

  'a stolen token works after its successor was used (S5)': async ({ store }) => {
    await withJoinKey(store);
    const { id: agentId } = await enrolled(store, 1);
    await present(store, { agentId, token: 1, generation: 1 });
    await present(store, { agentId, token: 2, generation: 2 });
    const { revision } = await store.directoryHead();
    assert.deepEqual(await present(store, { agentId, token: 1, generation: 3 }), {
      ok: false,
      reason: 'reused',
    });
    const agent = await store.agentById(agentId);
    assert.equal(agent?.state, 'suspended');
    assert.equal(agent?.stateSinceMs, startMs + 5_000);
    assert.equal(agent?.suspendedReason, 'rotation_token_reused');
    const {
      items: [event],
    } = await store.agentEvents({ agentId: agentId, page: { after: null, limit: 1 } });
    assert.equal(event?.kind, 'suspended');
    assert.equal(event?.actor, 'rule:rotation_token_reused');
    assert.equal(event?.atMs, startMs + 5_000);
    const changes = await store.changesSince({ revision, limit: 10 });
    assert.ok(changes.ok);
    assert.equal(changes.changes.length, 1);
    // Also the good token does nothing now.
    assert.deepEqual(await present(store, { agentId, token: 3, generation: 3 }), {
      ok: false,
      reason: 'agent_suspended',
    });
  },

  'a token of nobody, or of the dead, rotates': async ({ store }) => {
    await withJoinKey(store);
    const { id: agentId } = await enrolled(store, 1);
    assert.deepEqual(await present(store, { agentId: 'agent-x', token: 1, generation: 1 }), {
      ok: false,
      reason: 'unknown_agent',
    });
    const by = { atMs: startMs, actor: 'user:user_a', reason: 'gone' };
    await store.setAgentState({ audit: auditNote(), agentId, state: 'dead', ...by });
    assert.deepEqual(await present(store, { agentId, token: 1, generation: 1 }), {
      ok: false,
      reason: 'agent_dead',
    });
  },

  'a caller that read an older generation writes a token of the wrong one': async ({ store }) => {
    await withJoinKey(store);
    const { id: agentId } = await enrolled(store, 1);
    await present(store, { agentId, token: 1, generation: 1 });
    assert.deepEqual(await present(store, { agentId, token: 2, generation: 1 }), {
      ok: false,
      reason: 'stale',
    });
    assert.equal((await store.agentById(agentId))?.tokenHash, tokenHash(agentId, 2));
  },

  'an agent that refreshed after the backup is taken for a thief (S8)': async ({
    store,
    another,
  }) => {
    const other = another();
    await other.open();
    await withJoinKey(store);
    const { id: agentId } = await enrolled(store, 1);
    // The row is that of generation 1, the agent has the token of 5: 64 times at once.
    const outcomes = await Promise.all(
      Array.from({ length: 64 }, (_none, at) =>
        present(at % 2 === 0 ? store : other, { agentId, token: 5, generation: 1 }),
      ),
    );
    const ahead = outcomes.filter((outcome) => outcome.ok && outcome.ahead);
    assert.deepEqual(ahead, [{ ok: true, generation: 6, ahead: true }]);
    for (const outcome of outcomes) assert.equal(outcome.ok && outcome.generation, 6);
    const agent = await store.agentById(agentId);
    assert.deepEqual([agent?.state, agent?.generation], ['enrolled', 6]);
    assert.equal(agent?.tokenHash, tokenHash(agentId, 6));
    assert.equal(agent?.previousTokenHash, tokenHash(agentId, 5));
    const { items } = await store.agentEvents({ agentId, page: { after: null, limit: 10 } });
    assert.equal(items.filter(({ kind }) => kind === 'token_ahead').length, 1);
    // From there on everything is as ever: an older one suspends.
    assert.deepEqual(await present(store, { agentId, token: 6, generation: 6 }), next(7));
    assert.deepEqual(await present(store, { agentId, token: 1, generation: 7 }), {
      ok: false,
      reason: 'reused',
    });
    await other.close();
  },

  'a token from the time after the backup wakes a suspended agent': async ({ store }) => {
    await withJoinKey(store);
    const { id: agentId } = await enrolled(store, 1);
    const by = { atMs: startMs, actor: 'user:user_a', reason: 'looked odd' };
    await store.setAgentState({ audit: auditNote(), agentId, state: 'suspended', ...by });
    assert.deepEqual(await present(store, { agentId, token: 5, generation: 1 }), {
      ok: false,
      reason: 'agent_suspended',
    });
    assert.equal((await store.agentById(agentId))?.generation, 1);
  },
};
