/** Lists of agents in pieces, and what people change of one. */
import assert from 'node:assert/strict';
import type { AgentQuery, AgentStore } from '../../store/contract/agentStore.ts';
import { readDirectory } from '../../store/readDirectory.ts';
import type { Store } from '../../store/store.ts';
import {
  endpointUpdate,
  insertOtherProject,
  newEndpoint,
  withAgent,
  withCatalogue,
} from '../router/catalogueRows.ts';
import { firstPage } from '../http/firstPage.ts';
import { auditNote, startMs } from '../database/storeRows.ts';
import type { StoreCases } from './storeCases.ts';

const living: AgentQuery = { projectId: 'proj_a', dead: false };

async function idsOf(store: Store, query: Partial<AgentQuery> = {}): Promise<string[]> {
  const { items } = await store.agentPage({ ...living, ...query, page: firstPage });
  return items.map(({ id }) => id);
}

type Update = Parameters<AgentStore['updateAgent']>[0];

const update = (store: Store, agentId: string, over: Partial<Update> = {}) =>
  store.updateAgent({
    agentId,
    projectId: 'proj_a',
    patch: {},
    boundEndpointIds: undefined,
    expectedVersion: null,
    audit: auditNote({ action: 'agent.update', targetKind: 'agent', targetId: agentId }),
    ...over,
  });

const become = (store: Store, agentId: string, state: 'suspended' | 'dead') =>
  store.setAgentState({
    agentId,
    state,
    atMs: startMs,
    actor: 'user:user_a',
    reason: 'asked',
    audit: auditNote(),
  });

const listCases: StoreCases = {
  'a page of agents repeats one, leaves one out, or shows another owner’s': async (fixture) => {
    const { store } = fixture;
    await withCatalogue(store);
    await fixture.sql(insertOtherProject);
    for (const number of [5, 3, 1, 4, 2]) await withAgent(store, number);
    await withAgent(store, 6, { projectId: null });
    await withAgent(store, 7, { projectId: 'proj_b' });
    await become(store, 'agent-0003', 'dead');
    const seen: string[] = [];
    let after: AgentPlace = null;
    do {
      const page = await store.agentPage({ ...living, page: { after, limit: 3 } });
      seen.push(...page.items.map(({ id }) => id));
      after = page.next;
    } while (after !== null);
    assert.deepEqual(seen, ['agent-0001', 'agent-0002', 'agent-0004', 'agent-0005']);
    assert.deepEqual(await idsOf(store, { dead: true }), ['agent-0003']);
    assert.deepEqual(await idsOf(store, { projectId: null }), ['agent-0006']);
  },

  'a filter of agents takes a wildcard, a letter’s case or a missing link wrong': async ({
    store,
  }) => {
    await withCatalogue(store);
    for (const number of [1, 2, 3]) await withAgent(store, number);
    const [one, two, three] = ['agent-0001', 'agent-0002', 'agent-0003'] as const;
    await update(store, one, { patch: { name: 'Rack_1', region: 'EU-West' } });
    await update(store, two, {
      patch: {
        name: 'rackA1',
        tiers: { supported: ['free', 'self_hosted'], effective: ['free', 'self_hosted'] },
      },
    });
    await become(store, three, 'suspended');
    await store.markFirstLinked({ agentId: one, atMs: startMs });
    assert.deepEqual(await idsOf(store, { name: 'rack_' }), [one]);
    assert.deepEqual(await idsOf(store, { name: 'RACK' }), [one, two]);
    assert.deepEqual(await idsOf(store, { name: '%' }), []);
    assert.deepEqual(await idsOf(store, { region: 'eu-west' }), [one]);
    assert.deepEqual(await idsOf(store, { region: 'eu' }), []);
    assert.deepEqual(await idsOf(store, { tier: 'free' }), [two]);
    assert.deepEqual(await idsOf(store, { stored: 'suspended' }), [three]);
    const linked = { ids: [two, 'agent-9999', "'; drop table agents; --"], is: true };
    assert.deepEqual(await idsOf(store, { linked }), [two]);
    const others = { ...linked, is: false };
    assert.deepEqual(await idsOf(store, { linked: others, everLinked: true }), [one]);
    assert.deepEqual(await idsOf(store, { linked: others, everLinked: false }), [three]);
    assert.deepEqual(await idsOf(store, { linked: { ids: [], is: true } }), []);
  },
};

type AgentPlace = (typeof firstPage)['after'];

const changeCases: StoreCases = {
  'a change of an agent is lost, told to nobody or noted without its fields': async ({ store }) => {
    await withCatalogue(store);
    const agentId = await withAgent(store, 1);
    const { revision } = await store.directoryHead();
    const patch = {
      name: 'rack-7',
      description: 'in the cellar',
      region: 'cellar',
      maxConcurrentRequests: 3,
      tiers: { supported: null, effective: ['gpu_nvidia_shared', 'self_hosted'] },
      storageLimitBytes: null,
    } as const;
    const changed = await update(store, agentId, { patch, expectedVersion: 1 });
    assert.ok(changed.ok);
    const { agent } = changed;
    assert.deepEqual(
      [agent.name, agent.description, agent.region, agent.maxConcurrentRequests, agent.version],
      ['rack-7', 'in the cellar', 'cellar', 3, 2],
    );
    assert.deepEqual(agent.effectiveTiers, patch.tiers.effective);
    assert.deepEqual([agent.supportedTiers, agent.storageLimitBytes], [null, null]);
    assert.deepEqual(await store.agentById(agentId), agent);
    const told = await store.changesSince({ revision, limit: 10 });
    assert.ok(told.ok && told.changes.length === 1);
    const events = await store.agentEvents({ agentId, page: { after: null, limit: 1 } });
    assert.deepEqual(
      [events.items[0]?.kind, events.items[0]?.actor, events.items[0]?.detail],
      [
        'changed',
        'user:user_a',
        'name, description, region, max_concurrent_requests, supported_tiers, effective_tiers, ' +
          'storage_limit_bytes',
      ],
    );
    const notes = { projectId: 'proj_a', action: 'agent.update', page: firstPage };
    const [note] = (await store.auditNotes(notes)).items;
    assert.deepEqual(note?.changes['region'], { from: 'local', to: 'cellar' });
    // The same again: no event, no note, no new version.
    const again = await update(store, agentId, { patch });
    assert.ok(again.ok && again.agent.version === 2);
    assert.equal((await store.auditNotes(notes)).items.length, 1);
  },

  'a refused change of an agent leaves half of it': async (fixture) => {
    const { store } = fixture;
    await withCatalogue(store);
    await fixture.sql(insertOtherProject);
    const [agentId, other] = [await withAgent(store, 1), await withAgent(store, 2)];
    const open = endpointUpdate({ patch: { fallback: { enabled: false } } });
    assert.ok((await store.updateEndpoint(open)).ok);
    const before = await store.agentById(agentId);
    const wish = { patch: { name: 'desk-2', region: 'x' }, boundEndpointIds: ['ep_a'] };
    const refused = async (over: Partial<Update>): Promise<string> => {
      const outcome = await update(store, agentId, { ...wish, ...over });
      assert.ok(!outcome.ok);
      assert.deepEqual(await store.agentById(agentId), before);
      const { endpoints } = await readDirectory(store);
      assert.deepEqual(
        endpoints.filter(({ exclusive }) => exclusive),
        [],
      );
      return outcome.reason;
    };
    assert.equal(await refused({}), 'name_taken');
    assert.equal(await refused({ expectedVersion: 2 }), 'version_conflict');
    assert.equal(await refused({ projectId: 'proj_b' }), 'not_found');
    assert.equal(await refused({ boundEndpointIds: ['ep_x'] }), 'endpoint_not_found');
    await become(store, other, 'dead');
    const taken = await update(store, agentId, { ...wish, expectedVersion: 1 });
    assert.ok(taken.ok, 'the dead need no name');
    assert.deepEqual([taken.agent.boundEndpointIds, taken.agent.version], [['ep_a'], 2]);
    const dead = await update(store, other, wish);
    assert.deepEqual(dead, { ok: false, reason: 'dead' });
  },

  'an ETag of an agent stays good although its endpoint has bound it': async ({ store }) => {
    await withCatalogue(store);
    const agentId = await withAgent(store, 1);
    const closed = { fallback: { enabled: false, afterMs: 0, tier: null } };
    const bound = { boundAgentIds: [agentId] };
    assert.ok((await store.createEndpoint(newEndpoint(closed, bound))).ok);
    const stale = await update(store, agentId, { patch: { region: 'x' }, expectedVersion: 1 });
    assert.deepEqual(stale, { ok: false, reason: 'version_conflict' });
    await become(store, agentId, 'suspended');
    assert.equal((await store.agentById(agentId))?.version, 3);
  },

  'of many that want one name at once, two get it': async (fixture) => {
    const { store } = fixture;
    const other = fixture.another();
    await other.open();
    await withCatalogue(store);
    const agents: string[] = [];
    for (let number = 1; number <= 16; number += 1) agents.push(await withAgent(store, number));
    const outcomes = await Promise.all(
      agents.map((id, at) =>
        update(at % 2 === 0 ? store : other, id, { patch: { name: 'the one' } }),
      ),
    );
    assert.equal(outcomes.filter(({ ok }) => ok).length, 1);
    assert.ok(outcomes.every((outcome) => outcome.ok || outcome.reason === 'name_taken'));
    await other.close();
  },
};

export const agentListCases: StoreCases = { ...listCases, ...changeCases };
