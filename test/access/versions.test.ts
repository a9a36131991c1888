/**
 * C6: a patch against an old version changes nothing, for everything in the route table that can be
 * patched, on both databases. A new one must say here what a change of it is.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Contract } from '../../src/api/contract.ts';
import { contracts } from '../../src/api/contracts.ts';
import { routes, type HandlerOf, type Route } from '../../src/api/routes.ts';
import type { Router } from '../../src/router/router.ts';
import { inviteCast, type Cast } from '../../src/testing/cast.ts';
import {
  openPlatformHarness,
  type HttpHarness,
  type Reply,
} from '../../src/testing/http/httpHarness.ts';
import { onBothDatabases, type NewDatabase } from '../../src/testing/database/onBothDatabases.ts';

interface Versioned {
  version: number;
}

/** A thing that can be patched: where it stands, and its nth change. */
interface Changeable {
  at: (cast: Cast) => string;
  change: (count: number) => object;
  /** Where it is read, when that is another address. */
  readAt?: (cast: Cast) => string;
}

const project = ({ own }: Cast): string => `/api/v1/projects/${own.slug}`;

const changeables: Readonly<Record<string, Changeable>> = {
  'PATCH /api/v1/projects/{project}': {
    at: project,
    change: (count) => ({ name: `project ${count}` }),
  },
  'PATCH /api/v1/projects/{project}/api-keys/{key}': {
    at: (cast) => `${project(cast)}/api-keys/${cast.own.apiKeyId}`,
    change: (count) => ({ name: `key ${count}` }),
  },
  'PATCH /api/v1/platform/users/{user}': {
    at: (cast) => `/api/v1/platform/users/${cast.own.ownerId}`,
    // Only two values: those who race wish for the same one.
    change: (count) => ({ role: count >= 10 && count < 40 ? 'user' : 'admin' }),
  },
  'PATCH /api/v1/projects/{project}/endpoints/{endpoint}': {
    at: (cast) => `${project(cast)}/endpoints/${cast.own.endpointId}`,
    change: (count) => ({ queue_timeout_ms: 1_000 + count }),
  },
  'PATCH /api/v1/projects/{project}/models/{model}': {
    at: (cast) => `${project(cast)}/models/${cast.own.modelId}`,
    change: (count) => ({ name: `model ${count}` }),
  },
  'PATCH /api/v1/projects/{project}/agents/{agent}': {
    at: (cast) => `${project(cast)}/agents/${cast.own.agentId}`,
    change: (count) => ({ description: `agent ${count}` }),
  },
  'PATCH /api/v1/platform/agents/{agent}': {
    at: (cast) => `/api/v1/platform/agents/${cast.platform.agentId}`,
    change: (count) => ({ description: `agent ${count}` }),
  },
  'PATCH /api/v1/platform/models/{model}': {
    at: (cast) => `/api/v1/platform/models/${cast.platform.modelId}`,
    change: (count) => ({ name: `model ${count}` }),
  },
  'PATCH /api/v1/platform/tiers/{tier}': {
    at: () => '/api/v1/platform/tiers/free',
    change: (count) => ({ features_json: { count: `${count}` } }),
    readAt: () => '/api/v1/tiers',
  },
  'PUT /api/v1/projects/{project}/budgets/{budget}': {
    at: (cast) => `${project(cast)}/budgets/project`,
    change: (count) => ({ amount: `${count}` }),
  },
  'PUT /api/v1/platform/regions': {
    at: () => '/api/v1/platform/regions',
    change: (count) => ({ groups: [['a', `b${count}`]] }),
  },
};

const patching = routes.filter(({ plane, method, handler }) => {
  if (plane !== 'control' || (method !== 'PATCH' && method !== 'PUT')) return false;
  const contract: Contract = contracts[handler as HandlerOf<'control'>];
  return contract.versioned === true;
});
const nameOf = ({ method, path }: Route): string => `${method} ${path}`;

/** Below the source platform's addresses the same handlers stand. */
const ours = patching.filter(({ crossOrigin }) => !crossOrigin);

test('a thing that can be patched, of which nothing is said here', () => {
  assert.deepEqual(Object.keys(changeables).toSorted(), ours.map(nameOf).toSorted());
});

test('a patch whose thing has no version', () => {
  const without = routes.filter(
    (route) => route.plane === 'control' && route.method === 'PATCH' && !patching.includes(route),
  );
  assert.deepEqual(without.map(nameOf), []);
});

await onBothDatabases(checkVersions);

function checkVersions(newDatabase: NewDatabase): void {
  let harness: HttpHarness<Router>;
  let cast: Cast;
  let operator: Record<string, string>;
  before(async () => {
    harness = await openPlatformHarness(await newDatabase());
    cast = await inviteCast(harness, { base: harness.base });
    operator = await cast.callers.admin();
  });
  after(() => harness.close());

  for (const route of ours) {
    const name = nameOf(route);
    test(`${name} against an old version changes something (C6)`, async () => {
      const changeable = changeables[name];
      assert.ok(changeable);
      const { change, at, readAt = at } = changeable;
      const read = async (): Promise<Reply> =>
        harness.call('GET', readAt(cast), { headers: operator });
      const patch = (count: number, ifMatch?: string): Promise<Reply> =>
        harness.call(route.method, at(cast), {
          headers: { ...operator, ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }) },
          body: change(count),
        });

      const first = await patch(1);
      assert.equal(first.status, 200, first.text);
      const { version } = first.json as Versioned;
      assert.equal(first.headers.etag, `"${version}"`);
      const before = await read();
      if (readAt === at) assert.equal(before.headers.etag, `"${version}"`);

      for (const old of [`"${version - 1}"`, `"${version + 1}"`, `W/"${version + 7}"`]) {
        const refused = await patch(2, old);
        assert.equal(refused.status, 409, refused.text);
        assert.equal((await read()).text, before.text, 'a refused patch changed something');
      }

      // Everybody read the same version: one of them wins, the others are told.
      const outcomes = await Promise.all(
        Array.from({ length: 16 }, (_none, count) => patch(10 + count, `"${version}"`)),
      );
      const won = outcomes.filter(({ status }) => status === 200);
      assert.equal(won.length, 1);
      const [winner] = won;
      assert.ok(winner);
      assert.ok(outcomes.every(({ status }) => status === 200 || status === 409));
      assert.equal((winner.json as Versioned).version, version + 1);

      // Without If-Match the last one wins; the same again is no change.
      const last = await patch(40);
      assert.equal((last.json as Versioned).version, version + 2);
      const same = await patch(40);
      assert.equal((same.json as Versioned).version, version + 2);
      assert.equal((await patch(41, '*')).status, 200);
    });
  }
}
