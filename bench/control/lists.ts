/** Lists as owners of the large project read them: first pages, pages far behind, filtered ones. */
import type { Bare } from './benchDatabase.ts';
import type { TimedClient } from './timedClient.ts';

/** Pages of 500 that are read to come to one far behind. */
const farPages = 20;

export interface ListSamples {
  /** In ms, by list. */
  lists: Record<string, number[]>;
  /** The bare query of the first list, each beside a call of it. */
  barePage: number[];
  /** A call that asks no database. */
  roundTrip: number[];
}

interface Listed {
  next_cursor: string | null;
  data: { id: string }[];
}

export async function measureLists(
  client: TimedClient,
  options: { key: string; samples: number; bare: Bare },
): Promise<ListSamples> {
  const { key, samples, bare } = options;
  const read = (path: string): Promise<{ ms: number; json: Listed }> =>
    client.expect<Listed>(200, ['GET', path, { key }]);
  const far = async (path: string): Promise<string> => {
    let cursor: string | null = null;
    for (let page = 0; page < farPages; page += 1) {
      const after: string = cursor === null ? '' : `&after=${encodeURIComponent(cursor)}`;
      const { json } = await read(`${path}?limit=500${after}`);
      if (json.next_cursor === null) break;
      cursor = json.next_cursor;
    }
    return cursor === null ? path : `${path}?after=${encodeURIComponent(cursor)}`;
  };
  const paths = await pathsOf(far, async () => (await read(`${project}/agents`)).json.data[0]?.id);
  const measured: ListSamples = {
    lists: Object.fromEntries(Object.keys(paths).map((name) => [name, []])),
    barePage: [],
    roundTrip: [],
  };
  // In turn, so that what disturbs one list disturbs all of them.
  for (let turn = -warmUps; turn < samples; turn += 1) {
    const started = performance.now();
    await bare.page();
    const bareMs = performance.now() - started;
    const { ms: roundTripMs } = await client.expect(200, ['GET', '/healthz']);
    if (turn >= 0) {
      measured.barePage.push(bareMs);
      measured.roundTrip.push(roundTripMs);
    }
    for (const [name, path] of Object.entries(paths)) {
      const { ms } = await read(path);
      if (turn >= 0) measured.lists[name]?.push(ms);
    }
  }
  return measured;
}

const warmUps = 5;
const project = '/api/v1/projects/default';

async function pathsOf(
  far: (path: string) => Promise<string>,
  anAgent: () => Promise<string | undefined>,
): Promise<Record<string, string>> {
  return {
    agents: `${project}/agents`,
    'agents, far behind': await far(`${project}/agents`),
    'agents of 500': `${project}/agents?limit=500`,
    'agents by name': `${project}/agents?name=99`,
    'agents of no such name': `${project}/agents?name=zzz`,
    'dead agents': `${project}/agents?state=dead`,
    'events of an agent': `${project}/agents/${await anAgent()}/events`,
    keys: `${project}/api-keys`,
    'keys, far behind': await far(`${project}/api-keys`),
    requests: `${project}/requests`,
    'requests, far behind': await far(`${project}/requests`),
    'requests of a key': `${project}/requests?api_key=key_00000000000000000000000000`,
    'requests of no such key': `${project}/requests?api_key=key_none`,
    'requests that failed, of none': `${project}/requests?outcome=queue_timeout`,
    audit: `${project}/audit`,
    'audit, far behind': await far(`${project}/audit`),
    endpoints: `${project}/endpoints`,
  };
}
