/**
 * The route table × callers × verbs against the matrix (`matrix.ts`), on both databases: nobody
 * gets more than stands there, and what is somebody else's answers as if it did not exist (P1).
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openApiDocument } from '../../src/api/openapi/openApiDocument.ts';
import { routes, type Route } from '../../src/api/routes.ts';
import type { Router } from '../../src/router/router.ts';
import { castNames, inviteCast, type Cast, type CastName } from '../../src/testing/cast.ts';
import {
  openPlatformHarness,
  type HttpHarness,
  type Reply,
} from '../../src/testing/http/httpHarness.ts';
import { onBothDatabases, type NewDatabase } from '../../src/testing/database/onBothDatabases.ts';
import { until } from '../../src/testing/until.ts';
import { matrix, type Verdict } from './matrix.ts';
import { minimalOf } from './minimal.ts';

const listed = routes.filter(({ method }) => method !== 'OPTIONS' && method !== 'HEAD');
const nameOf = ({ method, path }: Pick<Route, 'method' | 'path'>): string => `${method} ${path}`;

test('a row of the route table without a line in the matrix, or a line without a row', () => {
  assert.deepEqual(Object.keys(matrix).toSorted(), listed.map(nameOf).toSorted());
});

await onBothDatabases(checkAccess);

function checkAccess(newDatabase: NewDatabase): void {
  let harness: HttpHarness<Router>;
  let cast: Cast;
  before(async () => {
    const limits = {
      perAddress: unlimited,
      liveClients: 1_000,
      liveClientsPerOwner: 1_000,
      liveIntervalMs: 60_000,
    };
    harness = await openPlatformHarness({ ...(await newDatabase()), limits });
    cast = await inviteCast(harness, { base: harness.base });
    await until(() => keysAreKnown(harness, cast));
  });
  after(() => harness.close());

  const call = async (route: Route, as: CastName, target: string): Promise<Reply> => {
    const headers = await cast.callers[as]();
    const body = bodyOf(route);
    const headOnly = route.path.endsWith('/live');
    return harness.call(route.method, target, {
      headers,
      headOnly,
      ...(body === undefined ? {} : { body }),
    });
  };

  for (const route of listed) {
    test(`${nameOf(route)} gives somebody more than the matrix does`, async () => {
      const verdicts = matrix[nameOf(route)];
      assert.ok(verdicts);
      for (const as of castNames) {
        const wanted: Verdict = verdicts[as];
        // Whoever gets in changes nothing that another test needs; whoever does not, asks for
        // what there is.
        const target = addressOf(route.path, cast, wanted === 'in' ? 'missing' : 'own');
        const reply = await call(route, as, target);
        const got = verdictOf(reply);
        if (wanted === 'in') assert.ok(!refusedAtTheDoor(got), `${as}: ${got}`);
        else assert.equal(got, wanted, as);
        for (const canary of hiddenFrom(as, wanted === 'in', cast)) {
          assert.ok(!reply.text.includes(canary), `${as} is told of ${canary}: ${reply.text}`);
        }
      }
    });
  }

  test('a thing of another project answers otherwise than one that is missing (P1)', async () => {
    const nested = listed.filter(
      ({ path, plane }) => plane === 'control' && /\{project\}.*\{|^\/v1\/.*\{/.test(path),
    );
    assert.ok(nested.length > 0);
    for (const route of nested) {
      const verdicts = matrix[nameOf(route)];
      for (const as of ['owner', 'managementKey'] as const) {
        if (verdicts?.[as] !== 'in') continue;
        const foreign = await call(route, as, addressOf(route.path, cast, 'foreign'));
        const missing = await call(route, as, addressOf(route.path, cast, 'missing'));
        const where = `${nameOf(route)} as ${as}`;
        assert.equal(missing.status, 404, `${where}: ${missing.text}`);
        assert.deepEqual(comparable(foreign, cast), comparable(missing, cast), where);
      }
    }
  });

  test('another project answers otherwise than one that is missing (P1)', async () => {
    for (const route of listed) {
      if (!route.path.includes('{project}')) continue;
      for (const as of ['stranger', 'strangerKey', 'strangerInferenceKey'] as const) {
        const there = addressOf(route.path, cast, 'own');
        const nowhere = there.replace(`/${cast.own.slug}/`, '/nowhere/');
        const found = comparable(await call(route, as, there), cast);
        const missing = comparable(await call(route, as, nowhere), cast);
        assert.deepEqual(found, missing, `${nameOf(route)} as ${as}`);
        const byId = there.replace(`/${cast.own.slug}/`, `/${cast.own.id}/`);
        assert.deepEqual(comparable(await call(route, as, byId), cast), missing);
      }
    }
  });

  test('a verb that the table does not name does something', async () => {
    const verbs = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
    for (const path of new Set(routes.map((route) => route.path))) {
      const rows = routes.filter((route) => route.path === path);
      const known = rows.map(({ method }) => method as string);
      for (const method of verbs.filter((verb) => !known.includes(verb))) {
        for (const as of ['none', 'admin', 'managementKey'] as const) {
          const headers = await cast.callers[as]();
          const target = addressOf(path, cast, 'own');
          const reply = await harness.call(method, target, { headers });
          assert.equal(reply.status, 405, `${method} ${path}`);
          assert.equal(reply.headers.allow, known.join(', '));
        }
      }
    }
  });
}

/** Names that the caller must not come across. */
function hiddenFrom(as: CastName, isIn: boolean, { own, foreign }: Cast): string[] {
  if (!isIn) return [own.canary, foreign.canary];
  if (as === 'admin') return [];
  return [as.startsWith('stranger') ? own.canary : foreign.canary];
}

const unlimited = Object.fromEntries(
  ['sign_in', 'nonce', 'enroll', 'refresh', 'link', 'change'].map((name) => [
    name,
    { burst: 100_000, perSecond: 100_000 },
  ]),
) as Record<'sign_in' | 'nonce' | 'enroll' | 'refresh' | 'link' | 'change', never>;

/** New keys reach the data plane a moment after their commit. */
async function keysAreKnown(harness: HttpHarness<Router>, cast: Cast): Promise<boolean> {
  const headers = await cast.callers.revokedKey();
  const reply = await harness.call('GET', '/v1/models', { headers });
  return reply.text.includes('revoked');
}

interface Described {
  requestBody?: { content: { 'application/json': { schema: Record<string, unknown> } } };
}
const document = openApiDocument() as {
  paths: Record<string, Record<string, Described>>;
};

function bodyOf({ method, path }: Route): unknown {
  const described = document.paths[path.replace('*}', '}')]?.[method.toLowerCase()];
  const schema = described?.requestBody?.content['application/json'].schema;
  if (schema === undefined) return method === 'GET' ? undefined : {};
  return minimalOf(schema, document as unknown as Record<string, unknown>);
}

type Thing = 'own' | 'foreign' | 'missing';

/** Ids by the collection that they stand in; a new collection must say where its things are. */
function thingOf(collection: string, cast: Cast, thing: Thing): string {
  const missing = '00000000-0000-4000-8000-000000000000';
  const of = ({ own, foreign }: Cast): typeof own => (thing === 'own' ? own : foreign);
  const project = of(cast);
  const ids: Record<string, string> = {
    agents: project.agentId,
    'join-keys': project.joinKeyId,
    'api-keys': project.apiKeyId,
    budgets: project.apiKeyId,
    endpoints: project.endpointId,
    models: project.modelId,
    members: project.ownerId,
    invitations: project.invitationId,
    requests: project.requestId,
    users: project.ownerId,
    'model-approvals': 'a'.repeat(64),
    tiers: 'free',
    ui: 'index.html',
  };
  const id = ids[collection];
  assert.ok(id !== undefined, `no thing is known of the collection ${collection}`);
  return thing === 'missing' ? missing : id;
}

function addressOf(path: string, cast: Cast, thing: Thing): string {
  return path.replaceAll(/([\w-]+\/)?\{(\w+)\*?\}/g, (_all, before: string | undefined, name) => {
    const collection = (before ?? '').slice(0, -1);
    if (name === 'project') return `${before ?? ''}${cast.own.slug}`;
    if (name === 'endpoint' && collection === '') return 'main';
    return `${before ?? ''}${thingOf(collection, cast, thing)}`;
  });
}

function verdictOf(reply: Reply): string {
  if (reply.status < 400) return String(reply.status);
  const { error } = (reply.json ?? {}) as { error?: { code: string | null } };
  return `${reply.status} ${error?.code}`;
}

const atTheDoor = new Set([
  'not_signed_in',
  'invalid_api_key',
  'insufficient_permissions',
  'password_change_required',
  'project_not_found',
  'cross_site_request',
  'unknown_url',
]);

function refusedAtTheDoor(verdict: string): boolean {
  const [status, code = ''] = verdict.split(' ');
  return (status === '401' && code === 'null') || atTheDoor.has(code) || status === '500';
}

/** What a caller sees, without what differs from call to call. */
function comparable(reply: Reply, cast: Cast): unknown {
  const { own, foreign } = cast;
  const ids = [own, foreign].flatMap(({ agentId, joinKeyId, apiKeyId, requestId }) => [
    agentId,
    joinKeyId,
    apiKeyId,
    requestId,
  ]);
  const text = ids.reduce((all, id) => all.replaceAll(id, '*'), reply.text);
  const words = text.replaceAll('nowhere', own.slug).replaceAll(own.id, own.slug);
  const headers = Object.keys(reply.headers).toSorted();
  return { status: reply.status, headers, text: words };
}
