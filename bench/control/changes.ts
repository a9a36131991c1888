/**
 * Creations, each beside a bare commit, and the time until the data plane acts on a change: from
 * the sending of the call until a client that asks all the time is refused, or until an agent's
 * link ends.
 */
import type { Bare } from './benchDatabase.ts';
import { enrol, link } from './joinedAgent.ts';
import type { TimedClient } from './timedClient.ts';

export interface ChangeSamples {
  /** In ms, by what was made. */
  creations: Record<'key' | 'join key' | 'agent', number[]>;
  bareCommit: number[];
  reach: Record<'revoke' | 'suspend', number[]>;
}

export interface Clients {
  base: string;
  /** For changes, and for what happens meanwhile. */
  changing: TimedClient;
  asking: TimedClient;
  key: string;
}

const project = '/api/v1/projects/default';
/** Enrolments and suspensions are fewer: enrolments from one address are limited. */
const agentShare = 10;

export async function measureChanges(
  clients: Clients,
  { samples, bare }: { samples: number; bare: Bare },
): Promise<ChangeSamples> {
  const measured: ChangeSamples = {
    creations: { key: [], 'join key': [], agent: [] },
    bareCommit: [],
    reach: { revoke: [], suspend: [] },
  };
  const { creations, reach } = measured;
  for (let turn = 0; turn < samples; turn += 1) {
    const started = performance.now();
    await bare.commit();
    measured.bareCommit.push(performance.now() - started);
    const { id, text, ms } = await newKey(clients, turn);
    creations.key.push(ms);
    reach.revoke.push(await revoke(clients, { id, text }));
    creations['join key'].push((await newJoinKey(clients, { name: `bench ${turn}` })).ms);
  }
  const agents = Math.max(2, Math.ceil(samples / agentShare));
  const joinKey = await newJoinKey(clients, { name: 'bench agents', max_uses: agents });
  for (let turn = 0; turn < agents; turn += 1) {
    const { base, changing } = clients;
    const enrolled = await enrol(changing, { base, joinKey: joinKey.text });
    creations.agent.push(enrolled.ms);
    const { ended } = await link(enrolled);
    const path = `${project}/agents/${enrolled.identity.agentId}/suspend`;
    const options = { key: clients.key, body: { mode: 'cut' } };
    const { sentMs } = await changing.expect(200, ['POST', path, options]);
    reach.suspend.push((await ended) - sentMs);
  }
  return measured;
}

interface Made {
  id: string;
  text: string;
  ms: number;
}

async function newKey({ changing, key }: Clients, turn: number): Promise<Made> {
  const body = { name: `bench ${turn}`, scopes: ['inference'] };
  const made = await changing.expect<{ id: string; key: string }>(201, [
    'POST',
    `${project}/api-keys`,
    { key, body },
  ]);
  return { id: made.json.id, text: made.json.key, ms: made.ms };
}

async function newJoinKey({ changing, key }: Clients, body: object): Promise<Made> {
  const made = await changing.expect<{ id: string; key: string }>(201, [
    'POST',
    `${project}/join-keys`,
    { key, body },
  ]);
  const { id, key: text } = made.json;
  return { id, text, ms: made.ms };
}

/** Until the key opens nothing any more; before, it has to open something. */
async function revoke(
  clients: Clients,
  { id, text }: { id: string; text: string },
): Promise<number> {
  const { changing, asking, key } = clients;
  const ask = async (): Promise<number> =>
    (await asking.call('GET', '/default/own/v1/models', { key: text })).status;
  while ((await ask()) !== 200);
  const revoked = changing.expect(200, ['DELETE', `${project}/api-keys/${id}`, { key }]);
  while ((await ask()) === 200);
  const reachedMs = performance.now();
  const { sentMs } = await revoked;
  return reachedMs - sentMs;
}
