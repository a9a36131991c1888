/**
 * C1 against a model: any mix of enrolments, at once or one after the other, of retries, links,
 * deaths and revocations, on one join key. fast-check prints the seed of what it finds.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { EnrollOutcome } from '../../store/contract/enrolmentStore.ts';
import type { Store } from '../../store/store.ts';
import { agentRow, auditNote, bootstrapRows, joinKeyRow, startMs } from '../database/storeRows.ts';
import { enrollInput, resumeOf } from './enrollCases.ts';
import { agentsOf } from '../router/agentsOf.ts';
import type { StoreCases } from './storeCases.ts';

const machines = 6;

type Step =
  /** All at once, each machine once. */
  | { kind: 'enroll'; machines: number[] }
  | { kind: 'link'; machine: number }
  | { kind: 'remove'; machine: number }
  | { kind: 'revoke' };

const machine = fc.nat({ max: machines - 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('enroll' as const),
      machines: fc.uniqueArray(machine, { minLength: 1 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('link' as const), machine }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), machine }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('revoke' as const) }) },
);

/** What should be true of the key and of its machines. */
interface Model {
  joinKeyId: string;
  maxUses: number;
  uses: number;
  isRevoked: boolean;
  agents: Map<number, { id: string; state: 'pending' | 'linked' | 'dead' }>;
}

const identity = (model: Model, at: number) => ({
  joinKeyId: model.joinKeyId,
  publicKey: `${model.joinKeyId} machine ${at}`,
});

/** As an agent and its control plane do: read what there was, then enrol. */
async function enrollMachine(store: Store, model: Model, at: number): Promise<EnrollOutcome> {
  const earlier = await store.agentByEnrollment(identity(model, at));
  const over = { id: `${model.joinKeyId}-${at}`, name: `${model.joinKeyId} ${at}` };
  const agent = agentRow(at, { ...over, ...identity(model, at) });
  const resume = earlier === null ? null : resumeOf(earlier);
  return store.enroll(enrollInput(agent, { resume }));
}

/** What the model says of a machine that enrols; undefined: whether uses are left decides. */
function expectedWord(model: Model, at: number): string | undefined {
  if (model.isRevoked) return 'revoked';
  const agent = model.agents.get(at);
  if (agent === undefined) return undefined;
  const words = { pending: 'resumed', linked: 'already_linked', dead: 'agent_dead' };
  return words[agent.state];
}

async function enrollAtOnce(stores: Store[], model: Model, numbers: number[]): Promise<void> {
  const expected = numbers.map((at) => expectedWord(model, at));
  const outcomes = await Promise.all(
    numbers.map((at) => enrollMachine(stores[at % stores.length] as Store, model, at)),
  );
  for (const [index, outcome] of outcomes.entries()) {
    const wanted = expected[index];
    if (wanted !== undefined) {
      const got = outcome.ok && outcome.resumed ? 'resumed' : outcome.ok || outcome.reason;
      assert.equal(got, wanted);
    } else if (outcome.ok) {
      assert.equal(outcome.resumed, false);
      model.uses += 1;
      model.agents.set(numbers[index] as number, { id: outcome.agent.id, state: 'pending' });
    } else {
      assert.equal(outcome.reason, 'used_up');
    }
  }
  const newcomers = expected.filter((word) => word === undefined).length;
  const refusals = outcomes.filter((outcome) => !outcome.ok && outcome.reason === 'used_up');
  // Nobody is refused while a use is left.
  assert.ok(refusals.length === 0 || model.uses === model.maxUses);
  assert.ok(refusals.length <= newcomers);
}

async function apply(stores: Store[], model: Model, action: Step): Promise<void> {
  const [store] = stores as [Store];
  switch (action.kind) {
    case 'enroll':
      return enrollAtOnce(stores, model, action.machines);
    case 'link': {
      const agent = model.agents.get(action.machine);
      if (agent?.state !== 'pending') return;
      await store.markFirstLinked({ agentId: agent.id, atMs: startMs });
      agent.state = 'linked';
      return;
    }
    case 'remove': {
      const agent = model.agents.get(action.machine);
      if (agent === undefined || agent.state === 'dead') return;
      const by = { atMs: startMs, actor: 'user:user_a', reason: 'removed' };
      await store.setAgentState({ audit: auditNote(), agentId: agent.id, state: 'dead', ...by });
      agent.state = 'dead';
      return;
    }
    case 'revoke':
      await store.revokeJoinKey({
        audit: auditNote(),
        id: model.joinKeyId,
        projectId: 'proj_a',
        nowMs: startMs,
      });
      model.isRevoked = true;
  }
}

async function check(store: Store, model: Model): Promise<void> {
  const key = await store.joinKeyById(model.joinKeyId);
  assert.equal(key?.uses, model.uses);
  assert.ok(model.uses <= model.maxUses);
  const agents = await agentsOf(store, 'proj_a');
  const own = agents.filter(({ joinKeyId }) => joinKeyId === model.joinKeyId);
  assert.equal(own.length, model.uses);
}

export const joinKeyModelCases: StoreCases = {
  'some order of enrolments uses a key more often than it allows (C1)': async (fixture) => {
    const { store } = fixture;
    const other = fixture.another();
    await other.open();
    await store.bootstrap(bootstrapRows());
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(step, { minLength: 1, maxLength: 8 }),
        async (maxUses, steps) => {
          runs += 1;
          const joinKeyId = `jk_${runs}`;
          await store.insertJoinKey({
            row: joinKeyRow({ id: joinKeyId, maxUses }),
            audit: auditNote(),
          });
          const model: Model = {
            joinKeyId,
            maxUses,
            uses: 0,
            isRevoked: false,
            agents: new Map(),
          };
          for (const action of steps) {
            await apply([store, other], model, action);
            await check(store, model);
          }
        },
      ),
      { numRuns: 40 },
    );
    await other.close();
  },
};
