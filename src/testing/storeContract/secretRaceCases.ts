/**
 * Secrets that are renewed by several callers at once, over two stores on one database: values of
 * API keys, rotation tokens of agents.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { ApiKeyRow } from '../../store/contract/apiKeyStore.ts';
import type { RotateOutcome } from '../../store/contract/enrolmentStore.ts';
import { readDirectory } from '../../store/readDirectory.ts';
import type { Store } from '../../store/store.ts';
import {
  apiKeyRow,
  auditNote,
  bootstrapRows,
  revocation,
  startMs,
  tokenHash,
} from '../database/storeRows.ts';
import { enrolled, withJoinKey } from './enrollCases.ts';
import type { StoreCases } from './storeCases.ts';
import { rotateToken } from './rotateToken.ts';

const projectId = 'proj_a';

type Step =
  | { kind: 'rotate'; grace: boolean; seen: boolean }
  | { kind: 'rename'; seen: boolean }
  | { kind: 'revoke' };

const seen = fc.boolean();
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('rotate'), grace: fc.boolean(), seen }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('rename'), seen }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('revoke') }) },
);
const batches = fc.array(fc.array(step, { minLength: 1, maxLength: 6 }), {
  minLength: 1,
  maxLength: 3,
});

let made = 0;
const newHash = (): string => (made += 1).toString(16).padStart(64, 'f');

/** What came of a step; `seen`: it was to go only from the version before the batch. */
interface Done {
  step: Step;
  ok: boolean;
  reason: string | undefined;
  /** Of a rotation. */
  sha256: string;
}

async function run(store: Store, was: ApiKeyRow, one: Step): Promise<Done> {
  const { id, version } = was;
  const audit = auditNote({ targetKind: 'api_key' });
  const sha256 = newHash();
  if (one.kind === 'revoke') {
    const { ok } = await store.revokeApiKey(revocation(id));
    return { step: one, ok, reason: undefined, sha256 };
  }
  const of = { id, projectId, expectedVersion: one.seen ? version : null, audit };
  const outcome =
    one.kind === 'rename'
      ? await store.updateApiKey({ ...of, change: { name: sha256 }, livingLimit: 1_000 })
      : await store.rotateApiKey({
          ...of,
          sha256,
          lastFour: 'wxyz',
          nowMs: startMs,
          graceUntilMs: startMs + (one.grace ? 1_000 : 0),
        });
  return { step: one, ok: outcome.ok, reason: outcome.ok ? undefined : outcome.reason, sha256 };
}

/** What must be so whichever of them came first. */
async function assertKey(store: Store, { was, done }: { was: ApiKeyRow; done: Done[] }) {
  const now = await store.apiKeyById({ id: was.id, projectId });
  assert.ok(now !== null);
  const changes = done.filter(({ step: { kind }, ok }) => ok && kind !== 'revoke');
  const isRevoked = done.some(({ step: { kind } }) => kind === 'revoke');
  assert.equal(now.revoked, was.revoked || isRevoked);
  const counted = changes.length + (isRevoked && !was.revoked ? 1 : 0);
  assert.equal(now.version, was.version + counted, 'a change was lost, or counted twice');
  if (was.revoked) assert.equal(changes.length, 0, 'a revoked key was changed');
  const careful = done.filter(({ step: one }) => one.kind !== 'revoke' && one.seen);
  assert.ok(careful.filter(({ ok }) => ok).length <= 1, 'two went from one version');
  for (const { step: one, ok, reason } of done) {
    if (ok || one.kind === 'revoke') continue;
    assert.ok(reason === 'revoked' || (one.seen && reason === 'version_conflict'), reason);
  }
  const rotated = changes.filter(({ step: { kind } }) => kind === 'rotate');
  const last = rotated.find(({ sha256 }) => sha256 === now.sha256);
  if (rotated.length === 0) assert.deepEqual(valuesOf(now), valuesOf(was));
  else {
    assert.ok(last?.step.kind === 'rotate', 'the key has a value that nobody was given');
    const before = rotated.length === 1 ? [was.sha256] : rotated.map(({ sha256 }) => sha256);
    const previous = now.previous?.sha256;
    if (!last.step.grace) assert.equal(previous, undefined);
    else
      assert.ok(previous !== now.sha256 && before.includes(previous ?? ''), 'whose grace is it?');
  }
  const entry = (await readDirectory(store)).apiKeys.find(({ id }) => id === now.id);
  assert.ok(entry !== undefined);
  assert.deepEqual([valuesOf(entry), entry.revoked], [valuesOf(now), now.revoked]);
  return now;
}

const valuesOf = ({ sha256, previous }: Pick<ApiKeyRow, 'sha256' | 'previous'>) => [
  sha256,
  previous?.sha256 ?? null,
];

/** The agent's tokens of the generations 1 to 4 have been used in turn. */
async function oldAgent(store: Store, number: number): Promise<string> {
  const { id: agentId } = await enrolled(store, number);
  for (const token of [1, 2, 3]) await present(store, { agentId, token, generation: token });
  return agentId;
}

function present(
  store: Store,
  { agentId, token, generation }: { agentId: string; token: number; generation: number },
): Promise<RotateOutcome> {
  return rotateToken(store, {
    agentId,
    presented: { generation: token, hash: tokenHash(agentId, token) },
    generation,
    nextHash: tokenHash(agentId, generation + 1),
    nowMs: startMs,
  });
}

export const secretRaceCases: StoreCases = {
  'some mix of rotations leaves a key with a value of nobody’s, or revives it': async (fixture) => {
    const { store } = fixture;
    const other = fixture.another();
    await other.open();
    await store.bootstrap(bootstrapRows());
    const property = fc.asyncProperty(batches, async (all) => {
      const key = apiKeyRow({ id: `key_${newHash().slice(-8)}`, sha256: newHash() });
      await store.insertApiKey({ key, livingLimit: 1_000, audit: auditNote() });
      let was = await store.apiKeyById({ id: key.id, projectId });
      for (const batch of all) {
        assert.ok(was !== null);
        const from: ApiKeyRow = was;
        const done = await Promise.all(
          batch.map((one, at) => run(at % 2 === 0 ? store : other, from, one)),
        );
        was = await assertKey(store, { was: from, done });
      }
    });
    await fc.assert(property, { numRuns: 8 });
    await other.close();
  },

  'some race of refreshes forks an agent’s tokens, or suspends it for nothing': async (fixture) => {
    const { store } = fixture;
    const other = fixture.another();
    await other.open();
    await withJoinKey(store, { maxUses: 1_000 });
    let agents = 0;
    const ages = fc.array(fc.nat({ max: 2 }), { minLength: 2, maxLength: 8 });
    const property = fc.asyncProperty(ages, async (presented) => {
      const agentId = await oldAgent(store, (agents += 1));
      const outcomes = await Promise.all(
        presented.map((age, at) =>
          present(at % 2 === 0 ? store : other, { agentId, token: 4 - age, generation: 4 }),
        ),
      );
      const agent = await store.agentById(agentId);
      const given = outcomes.flatMap((one) => (one.ok ? [one.generation] : []));
      assert.ok(given.every((generation) => generation === 4 || generation === 5));
      assert.equal(agent?.generation, given.includes(5) ? 5 : 4);
      assert.equal(agent.tokenHash, tokenHash(agentId, agent.generation));
      const reused = outcomes.filter((one) => !one.ok && one.reason === 'reused').length;
      assert.equal(agent.state, reused === 0 ? 'enrolled' : 'suspended');
      assert.ok(reused <= 1, 'it was suspended twice');
      if (presented.includes(2)) assert.equal(reused, 1);
      const isHonest = new Set(presented).size === 1 && !presented.includes(2);
      if (isHonest) assert.equal(given.length, presented.length);
    });
    await fc.assert(property, { numRuns: 8 });
    await other.close();
  },
};
