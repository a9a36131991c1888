/**
 * Fuzzes the running platform by its own description: `npm run proofs -- fuzz-api --examples 100
 * --seed 1 --database postgres`. Schemathesis makes calls that fit `docs/openapi.json` and calls
 * that do not; none of them may be answered by a 5xx, by what the description does not say, or as
 * if it were right when it is wrong. `npm test` runs a short version on SQLite.
 *
 * Four passes: an operator in a browser, a management key, an inference key before a real agent
 * with a fake engine, and a stranger.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { inviteCast, type Cast } from '../../src/testing/cast.ts';
import { startFakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import { openPlatformHarness } from '../../src/testing/http/httpHarness.ts';
import { startPostgres } from '../../src/testing/database/postgres.ts';
import {
  bringSchemathesis,
  fuzz,
  type FuzzOutcome,
  type FuzzPass,
} from '../../src/testing/http/schemathesis.ts';
import { startAgent } from '../../src/testing/links/testAgent.ts';
import { until } from '../../src/testing/until.ts';

/** Streams without an end, and calls that end the session which the pass lives on. */
const endless = ['live', 'signOut', 'openApi'];

/** Where there is something to be found, looked at, changed and removed. */
function thingsOf(cast: Cast): FuzzPass['things'] {
  const { platform } = cast;
  const { slug, agentId, joinKeyId, endpointId, modelId } = cast.own;
  const found = (
    paths: string,
    parameters: Record<string, string>,
  ): FuzzPass['things'][number] => ({
    paths,
    parameters,
  });
  return [
    found('\\{project\\}/agents/', { 'path.project': slug, 'path.agent': agentId }),
    found('management/agents/', { 'path.project': slug, 'path.agent': agentId }),
    found('\\{project\\}.*join-keys/', { 'path.project': slug, 'path.key': joinKeyId }),
    found('platform/agents/', { 'path.agent': platform.agentId }),
    found('platform/join-keys/', { 'path.key': platform.joinKeyId }),
    found('platform/models/', { 'path.model': platform.modelId }),
    found('\\{project\\}/endpoints/', { 'path.project': slug, 'path.endpoint': endpointId }),
    found('\\{project\\}/models/', { 'path.project': slug, 'path.model': modelId }),
    found('\\{project\\}', { 'path.project': slug }),
  ];
}

function passesOf(
  cast: Cast,
  as: Record<'operator' | 'key' | 'inference', Record<string, string>>,
  baseUrl: string,
): FuzzPass[] {
  const without = endless.flatMap((name) => ['--exclude-operation-id', name]);
  const things = thingsOf(cast);
  const control = ['--include-tag', 'control', ...without];
  const source = '^/\\{project\\}/v1/';
  return [
    {
      name: 'operator',
      baseUrl,
      things,
      headers: as.operator,
      select: [...control, '--exclude-path-regex', source],
    },
    {
      name: 'key',
      baseUrl,
      things,
      headers: as.key,
      select: [...control, '--exclude-path-regex', '^/api/v1/(?!projects/)'],
    },
    {
      name: 'inference',
      baseUrl,
      headers: as.inference,
      things: [
        {
          paths: '\\{project\\}',
          parameters: { 'path.project': 'default', 'path.endpoint': 'own' },
        },
        { paths: '\\{model\\}', parameters: { 'path.model': 'own' } },
      ],
      select: ['--include-tag', 'data'],
    },
    {
      name: 'stranger',
      baseUrl,
      things: [],
      headers: {},
      select: ['--include-tag', 'enrolment', '--include-tag', 'health'],
    },
  ];
}

type Database = 'sqlite' | 'postgres';

async function fuzzOn(
  database: Database,
  options: { examples: number; seed: number; phases: string; only: string | undefined },
): Promise<FuzzOutcome[]> {
  const directory = mkdtempSync(path.join(tmpdir(), 'xim-fuzz-'));
  const postgres = database === 'postgres' ? await startPostgres() : undefined;
  if (postgres?.kind === 'missing') throw new Error(postgres.reason);
  const url = await postgres?.createDatabase();
  const limits = { perAddress: unlimited, liveClients: 1_000, liveClientsPerOwner: 1_000 };
  const harness = await openPlatformHarness({ limits, ...(url === undefined ? {} : { url }) });
  const ends: (() => unknown)[] = [];
  try {
    const cast = await inviteCast(harness, { base: harness.base });
    const engine = await startFakeEngine({ chunks: 2, models: ['Test model'] });
    ends.push(() => engine.close());
    startAgent(
      { after: (end) => ends.push(end as () => unknown) },
      {
        serverUrl: harness.base,
        engineUrl: engine.url,
        stateDir: path.join(directory, 'agent'),
        joinKey: await harness.joinKey({ name: 'fuzzed' }),
      },
    );
    await until(() => harness.router.agents().some(({ slots }) => slots > 0));
    const key = `Bearer ${harness.credentials.apiKey}`;
    const as = {
      operator: await cast.callers.admin(),
      key: await cast.callers.managementKey(),
      inference: { authorization: key },
    };
    const outcomes: FuzzOutcome[] = [];
    for (const pass of passesOf(cast, as, harness.base)) {
      if (options.only !== undefined && options.only !== pass.name) continue;
      const outcome = await fuzz(pass, { directory, ...options });
      outcomes.push({ ...outcome, name: `${database} ${outcome.name}` });
      process.stderr.write(`${JSON.stringify(outcome)}\n`);
    }
    process.stderr.write(`what was found in full: ${directory}\n`);
    return outcomes;
  } finally {
    for (const end of ends.toReversed()) await end();
    await harness.close();
    if (postgres?.kind === 'started') await postgres.stop();
  }
}

const much = { burst: 1_000_000, perSecond: 1_000_000 };
const unlimited = {
  sign_in: much,
  nonce: much,
  enroll: much,
  refresh: much,
  link: much,
  change: much,
};

export async function prove(
  args: string[],
): Promise<{ passed: boolean; skipped?: string } & Record<string, unknown>> {
  const { values } = parseArgs({
    args,
    options: {
      examples: { type: 'string', default: '100' },
      seed: { type: 'string' },
      database: { type: 'string', default: 'both' },
      pass: { type: 'string' },
      // What the coverage phase makes takes most of the time.
      phases: { type: 'string', default: 'examples,coverage,fuzzing' },
    },
  });
  const missing = bringSchemathesis();
  if (missing !== undefined) return { passed: false, skipped: missing };
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const wanted = values.database === 'both' ? ['sqlite', 'postgres'] : [values.database];
  const outcomes: FuzzOutcome[] = [];
  for (const database of wanted as Database[]) {
    const examples = Number(values.examples);
    const { phases, pass: only } = values;
    outcomes.push(...(await fuzzOn(database, { examples, seed, phases, only })));
  }
  const calls = outcomes.reduce((sum, outcome) => sum + outcome.calls, 0);
  return { passed: outcomes.every(({ passed }) => passed), seed, calls, outcomes };
}
