/**
 * Exclusive bindings: both sides in one transaction, from whichever side the wish comes. Against a
 * model: fast-check mixes changes from both sides, deaths and deletions, several at once.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { readDirectory } from '../../store/readDirectory.ts';
import type { Store } from '../../store/store.ts';
import {
  endpointDeletion,
  endpointUpdate,
  insertOtherProject,
  newEndpoint,
  operatorRules,
  ownerRules,
  withAgent,
} from '../router/catalogueRows.ts';
import { firstPage } from '../http/firstPage.ts';
import { auditNote, bootstrapRows, startMs } from '../database/storeRows.ts';
import type { StoreCases } from './storeCases.ts';

const closed = { fallback: { enabled: false, afterMs: 0, tier: null } };

const bind = (store: Store, agentId: string, endpointIds: string[] | null) =>
  store.updateAgent({
    agentId,
    projectId: 'proj_a',
    patch: {},
    boundEndpointIds: endpointIds,
    expectedVersion: null,
    audit: auditNote({ action: 'agent.update', targetKind: 'agent', targetId: agentId }),
  });

const die = (store: Store, agentId: string) =>
  store.setAgentState({
    agentId,
    state: 'dead',
    atMs: startMs,
    actor: 'user:user_a',
    reason: 'removed',
    audit: auditNote({ action: 'agent.remove' }),
  });

/** Agents' lists and endpoints' marks, as they are stored. */
async function sides(store: Store): Promise<{
  lists: Record<string, readonly string[] | null>;
  exclusive: Record<string, boolean>;
}> {
  const { agents, endpoints } = await readDirectory(store);
  return {
    lists: Object.fromEntries(agents.map((agent) => [agent.id, agent.boundEndpointIds])),
    exclusive: Object.fromEntries(endpoints.map(({ id, exclusive }) => [id, exclusive])),
  };
}

/** B2 of `agents/bindings.ts`, where nobody has died. */
async function assertNotEmpty(store: Store, round: Round): Promise<void> {
  const { lists, exclusive } = await sides(store);
  const bound = new Set(round.agents.flatMap((id) => lists[id] ?? []));
  for (const id of round.endpoints) {
    assert.equal(exclusive[id] ?? false, bound.has(id), `${id} is bound to nobody`);
  }
}

/** B1 and B3 of `agents/bindings.ts`. */
async function assertTwoSided(store: Store): Promise<void> {
  const { agents, endpoints } = await readDirectory(store);
  const byId = new Map(endpoints.map((endpoint) => [endpoint.id, endpoint]));
  for (const { id, state, boundEndpointIds } of agents) {
    if (state === 'dead') assert.equal(boundEndpointIds, null, `${id} is dead and bound`);
    assert.notDeepEqual(boundEndpointIds, [], `${id} is bound to nothing at all`);
    for (const endpointId of boundEndpointIds ?? []) {
      assert.equal(byId.get(endpointId)?.exclusive, true, `${id} is bound to ${endpointId}`);
    }
  }
  for (const { id, exclusive, fallback } of endpoints) {
    assert.ok(!(exclusive && fallback.enabled), `${id} is exclusive and falls back`);
  }
}

/** What one round of the property works on; things of earlier rounds stay as they were left. */
interface Round {
  endpoints: string[];
  agents: string[];
}

type Step =
  | { kind: 'bind_endpoint'; endpoint: number; agents: number[] }
  | { kind: 'fallback'; endpoint: number; enabled: boolean }
  | { kind: 'bind_agent'; agent: number; endpoints: number[] }
  | { kind: 'die'; agent: number }
  | { kind: 'delete'; endpoint: number };

const places = [0, 1, 2];
const one = fc.constantFrom(...places);
const some = fc.subarray(places);
const kind = <Kind extends string>(name: Kind) => fc.constant(name);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: kind('bind_endpoint'), endpoint: one, agents: some }),
  },
  { weight: 6, arbitrary: fc.record({ kind: kind('bind_agent'), agent: one, endpoints: some }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: kind('fallback'), endpoint: one, enabled: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: kind('die'), agent: one }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('delete'), endpoint: one }) },
);

function run(store: Store, { endpoints, agents }: Round, action: Step): Promise<{ ok: boolean }> {
  const id = 'endpoint' in action ? (endpoints[action.endpoint] as string) : '';
  const agentId = 'agent' in action ? (agents[action.agent] as string) : '';
  switch (action.kind) {
    case 'bind_endpoint': {
      const boundAgentIds = action.agents.map((at) => agents[at] as string);
      return store.updateEndpoint(endpointUpdate({ id, boundAgentIds }));
    }
    case 'fallback': {
      const patch = { fallback: { enabled: action.enabled } };
      return store.updateEndpoint(endpointUpdate({ id, patch }));
    }
    case 'bind_agent': {
      const wanted = action.endpoints.map((at) => endpoints[at] as string);
      return bind(store, agentId, wanted.length === 0 ? null : wanted);
    }
    case 'die':
      return die(store, agentId);
    case 'delete':
      return store.deleteEndpoint(endpointDeletion({ id }));
  }
}

/** Three unbound endpoints without fallback, three agents that are alive. */
async function newRound(store: Store, round: number): Promise<Round> {
  const endpoints: string[] = [];
  const agents: string[] = [];
  for (const place of places) {
    const slug = `r${round}-${place}`;
    const made = await store.createEndpoint(newEndpoint({ id: `ep_${slug}`, slug, ...closed }));
    assert.ok(made.ok, JSON.stringify(made));
    endpoints.push(made.detail.endpoint.id);
    agents.push(await withAgent(store, round * 10 + place));
  }
  return { endpoints, agents };
}

export const bindingCases: StoreCases = {
  'a binding has one side only, or another agent keeps it': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const [one, two] = [await withAgent(store, 1), await withAgent(store, 2)];
    assert.ok((await store.createEndpoint(newEndpoint({ id: 'ep_b', slug: 'b', ...closed }))).ok);
    const { revision } = await store.directoryHead();
    const boundTo = (boundAgentIds: string[]) =>
      store.updateEndpoint(endpointUpdate({ id: 'ep_b', boundAgentIds }));
    const bound = await boundTo([one, two]);
    assert.ok(bound.ok);
    assert.deepEqual(
      bound.detail.boundAgents.map(({ id, name }) => [id, name]),
      [
        [one, 'desk-1'],
        [two, 'desk-2'],
      ],
    );
    assert.deepEqual(await sides(store), {
      lists: { [one]: ['ep_b'], [two]: ['ep_b'] },
      exclusive: { ep_a: false, ep_b: true },
    });
    const read = await store.changesSince({ revision, limit: 10 });
    assert.ok(read.ok);
    assert.deepEqual(read.changes.map(({ id }) => id).toSorted(), [one, two, 'ep_b']);
    // From the agents' side, one after the other: the last one opens the endpoint again.
    assert.ok((await bind(store, one, null)).ok);
    assert.deepEqual((await sides(store)).exclusive['ep_b'], true);
    assert.ok((await bind(store, two, null)).ok);
    assert.deepEqual(await sides(store), {
      lists: { [one]: null, [two]: null },
      exclusive: { ep_a: false, ep_b: false },
    });
    const found = await store.endpointByRef({ projectId: 'proj_a', ref: 'ep_b' });
    assert.equal(found?.endpoint.version, 3, 'the owner’s next patch must see that it changed');
  },

  'an endpoint that falls back is bound, or a bound one falls back (B3)': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const one = await withAgent(store, 1);
    const bound = endpointUpdate({ boundAgentIds: [one] });
    assert.deepEqual(await store.updateEndpoint(bound), {
      ok: false,
      reason: 'bad_settings',
      problem: { kind: 'fallback_of_exclusive' },
    });
    assert.deepEqual(await bind(store, one, ['ep_a']), {
      ok: false,
      reason: 'endpoint_falls_back',
      endpointSlug: 'main',
    });
    assert.deepEqual((await sides(store)).lists, { [one]: null });
    const off = { fallback: { enabled: false } };
    const both = endpointUpdate({ patch: off, boundAgentIds: [one] });
    assert.ok((await store.updateEndpoint(both)).ok, 'in one change');
    const on = endpointUpdate({ patch: { fallback: { enabled: true } } });
    const refused = await store.updateEndpoint(on);
    assert.ok(!refused.ok && refused.reason === 'bad_settings');
  },

  'an agent of another project, a dead or an unknown one is bound': async (fixture) => {
    const { store } = fixture;
    await store.bootstrap(bootstrapRows());
    await fixture.sql(insertOtherProject);
    await store.updateEndpoint(endpointUpdate({ patch: { fallback: { enabled: false } } }));
    const foreign = await withAgent(store, 1, { projectId: 'proj_b' });
    const dead = await withAgent(store, 2);
    await die(store, dead);
    const shared = await withAgent(store, 3, { projectId: null });
    for (const agentId of [foreign, dead, shared, 'agent-9999']) {
      const wish = endpointUpdate({ boundAgentIds: [agentId] });
      const refused = { ok: false, reason: 'agent_not_found', agentId };
      assert.deepEqual(await store.updateEndpoint(wish), refused);
    }
    const unbindable = await bind(store, foreign, ['ep_a']);
    assert.ok(!unbindable.ok && unbindable.reason === 'not_found');
    const own = await withAgent(store, 4);
    assert.ok((await store.createEndpoint(newEndpoint({ projectId: 'proj_b', slug: 'x' }))).ok);
    assert.deepEqual(await bind(store, own, ['ep_x']), {
      ok: false,
      reason: 'endpoint_not_found',
      endpointId: 'ep_x',
    });
    await assertTwoSided(store);
  },

  'an operator cannot bind a shared agent, or its owner cannot let it go': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const shared = await withAgent(store, 1, { projectId: null });
    const own = await withAgent(store, 2);
    const patch = { fallback: { enabled: false } };
    const byOperator = { patch, boundAgentIds: [shared], rules: operatorRules };
    assert.ok((await store.updateEndpoint(endpointUpdate(byOperator))).ok);
    assert.deepEqual((await sides(store)).lists[shared], ['ep_a']);
    const kept = { boundAgentIds: [own, shared], rules: ownerRules };
    assert.ok((await store.updateEndpoint(endpointUpdate(kept))).ok, 'an owner may keep it');
    assert.ok((await store.updateEndpoint(endpointUpdate({ boundAgentIds: [own] }))).ok);
    assert.deepEqual((await sides(store)).lists[shared], null);
    const back = await store.updateEndpoint(endpointUpdate({ boundAgentIds: [shared] }));
    assert.ok(!back.ok && back.reason === 'agent_not_found', 'and cannot take it back');
  },

  'a deleted endpoint or a dead agent leaves a dangling binding': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const [one, two] = [await withAgent(store, 1), await withAgent(store, 2)];
    const wish = newEndpoint({ id: 'ep_b', slug: 'b', ...closed }, { boundAgentIds: [one, two] });
    assert.ok((await store.createEndpoint(wish)).ok);
    assert.ok((await die(store, one)).ok);
    assert.deepEqual(await sides(store), {
      lists: { [one]: null, [two]: ['ep_b'] },
      exclusive: { ep_a: false, ep_b: true },
    });
    assert.ok((await die(store, two)).ok);
    // B2: bound to nobody that lives, and closed to everybody else until its owner opens it.
    assert.equal((await sides(store)).exclusive['ep_b'], true);
    assert.ok((await store.updateEndpoint(endpointUpdate({ id: 'ep_b', boundAgentIds: [] }))).ok);
    assert.equal((await sides(store)).exclusive['ep_b'], false);
    const three = await withAgent(store, 3);
    assert.ok((await bind(store, three, ['ep_b'])).ok);
    assert.ok((await store.deleteEndpoint(endpointDeletion({ id: 'ep_b' }))).ok);
    assert.deepEqual((await sides(store)).lists[three], null);
    const { items } = await store.endpointPage({ projectId: 'proj_a', page: firstPage });
    assert.deepEqual(
      items.map(({ endpoint: { id } }) => id),
      ['ep_a'],
    );
  },

  'a 64-way race from both sides closes an endpoint for nobody, or one-sidedly': async (
    fixture,
  ) => {
    const { store } = fixture;
    const other = fixture.another();
    await other.open();
    await store.bootstrap(bootstrapRows());
    const round = await newRound(store, 1);
    for (let again = 0; again < 4; again += 1) {
      await Promise.all(
        Array.from({ length: 64 }, (_none, at) => {
          const [thing, one] = [at % 3, Math.floor(at / 3) % 3];
          const some = at % 5 === 0 ? [] : [one];
          const action: Step =
            at % 4 === 0
              ? { kind: 'bind_endpoint', endpoint: thing, agents: some }
              : { kind: 'bind_agent', agent: thing, endpoints: some };
          return run(at % 2 === 0 ? store : other, round, action);
        }),
      );
      await assertTwoSided(store);
      await assertNotEmpty(store, round);
    }
    await other.close();
  },

  'of two that bind one agent at once, the first leaves its endpoint closed': async (fixture) => {
    const { store } = fixture;
    const other = fixture.another();
    await other.open();
    await store.bootstrap(bootstrapRows());
    const round = await newRound(store, 1);
    const wishes: Step[] = [
      { kind: 'bind_agent', agent: 0, endpoints: [0] },
      { kind: 'bind_agent', agent: 0, endpoints: [1] },
      { kind: 'bind_endpoint', endpoint: 2, agents: [0] },
    ];
    for (let again = 0; again < 30; again += 1) {
      await Promise.all(wishes.map((wish, at) => run(at === 0 ? store : other, round, wish)));
      await assertNotEmpty(store, round);
      await run(store, round, { kind: 'bind_agent', agent: 0, endpoints: [] });
      await assertNotEmpty(store, round);
    }
    await other.close();
  },

  'some mix of changes from both sides leaves a binding one-sided (B1)': async (fixture) => {
    const { store } = fixture;
    const other = fixture.another();
    await other.open();
    await store.bootstrap(bootstrapRows());
    let rounds = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(step, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 4 }),
        async (batches) => {
          const round = await newRound(store, (rounds += 1));
          let everybodyLives = true;
          for (const batch of batches) {
            await Promise.all(
              batch.map((action, at) => run(at % 2 === 0 ? store : other, round, action)),
            );
            await assertTwoSided(store);
            everybodyLives &&= batch.every((action) => action.kind !== 'die');
            if (everybodyLives) await assertNotEmpty(store, round);
          }
        },
      ),
      { numRuns: 25 },
    );
    await other.close();
  },
};
