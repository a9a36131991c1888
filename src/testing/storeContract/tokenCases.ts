/** The rotation-token flow. */
import assert from 'node:assert/strict';
import type { RotateOutcome } from '../../store/contract/enrolmentStore.ts';
import type { Store } from '../../store/store.ts';
import type { StoreCases } from './storeCases.ts';
import { auditNote, startMs, tokenHash } from '../storeRows.ts';
import { enrolled, withJoinKey } from './enrollCases.ts';

/** Presents the token of one generation, as a caller that has read `generation`. */
function present(
  store: Store,
  { agentId, token, generation }: { agentId: string; token: number; generation: number },
): Promise<RotateOutcome> {
  return store.rotateToken({
    agentId,
    presentedHash: tokenHash(agentId, token),
    generation,
    nextHash: tokenHash(agentId, generation + 1),
    nowMs: startMs + 5_000,
  });
}

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
    for (const outcome of outcomes) assert.deepEqual(outcome, { ok: true, generation: 2 });
    const agent = await store.agentById(agentId);
    assert.equal(agent?.generation, 2);
    assert.equal(agent?.tokenHash, tokenHash(agentId, 2));
    assert.equal(agent?.previousTokenHash, tokenHash(agentId, 1));
    assert.equal(agent?.state, 'enrolled');
    await other.close();
  },

  'a lost answer costs the agent its token': async ({ store }) => {
    await withJoinKey(store);
    const { id: agentId } = await enrolled(store, 1);
    assert.deepEqual(await present(store, { agentId, token: 1, generation: 1 }), {
      ok: true,
      generation: 2,
    });
    for (const generation of [2, 1, 2]) {
      assert.deepEqual(await present(store, { agentId, token: 1, generation }), {
        ok: true,
        generation: 2,
      });
    }
    assert.deepEqual(await present(store, { agentId, token: 2, generation: 2 }), {
      ok: true,
      generation: 3,
    });
  },

  'a stolen token works after its successor was used (S5)': async ({ store }) => {
    await withJoinKey(store);
    const { id: agentId } = await enrolled(store, 1);
    await present(store, { agentId, token: 1, generation: 1 });
    await present(store, { agentId, token: 2, generation: 2 });
    const { revision } = await store.directory();
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

  'a token that was never given, or of nobody, rotates': async ({ store }) => {
    await withJoinKey(store);
    const { id: agentId } = await enrolled(store, 1);
    assert.deepEqual(await present(store, { agentId: 'agent-x', token: 1, generation: 1 }), {
      ok: false,
      reason: 'unknown_agent',
    });
    assert.deepEqual(await present(store, { agentId, token: 7, generation: 1 }), {
      ok: false,
      reason: 'reused',
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
};
