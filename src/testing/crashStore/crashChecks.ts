/** What must be true of a server that was killed under load, once it is back. */
import assert from 'node:assert/strict';
import { until } from '../processes/processes.ts';
import type { CrashLedger } from './crashLedger.ts';
import type { LoadClient } from './crashLoad.ts';

interface ListedKey {
  id: string;
  name: string;
  state: string;
}

interface ListedRequest {
  id: string;
  outcome: string;
  status: number;
}

/** Until the journal has told the store of everything, in ms. */
const deliveredMs = 15_000;
/** Until the data plane has heard of a change that was made just now, in ms. */
const knownMs = 2_000;
/** Keys whose audit notes are looked at, newest first. */
const notesChecked = 5;

/**
 * Holds the server to the ledger, and brings the ledger up to what turned out to be true of what
 * was asked and never answered.
 */
export async function checkCrash(client: LoadClient, ledger: CrashLedger): Promise<void> {
  await checkName(client, ledger);
  await checkKeys(client, ledger);
  await checkNotes(client, ledger);
  await checkUsage(client, ledger);
}

/** All pages of a list. */
async function listed<Item>(client: LoadClient, what: string): Promise<Item[]> {
  const items: Item[] = [];
  let after = '';
  for (;;) {
    const { status, body } = await client.control('GET', `${what}limit=500${after}`);
    assert.equal(status, 200, what);
    const { data, next_cursor: next } = body as { data: Item[]; next_cursor: string | null };
    items.push(...data);
    if (next === null) return items;
    after = `&after=${encodeURIComponent(next)}`;
  }
}

async function checkName(client: LoadClient, { name }: CrashLedger): Promise<void> {
  const { body } = await client.control('GET', '');
  const stored = Number((body as { name: string }).name) || 0;
  assert.ok(stored >= name.acknowledged, `the name ${name.acknowledged} is lost: ${stored}`);
  assert.ok(stored <= name.asked, `nobody asked for the name ${stored}`);
  name.acknowledged = stored;
  name.asked = stored;
}

async function checkKeys(client: LoadClient, ledger: CrashLedger): Promise<void> {
  // A repeated call does the rest of the first one, or what it did is there.
  for (const name of ledger.unanswered) await client.createKey(name);
  const keys = await listed<ListedKey>(client, '/api-keys?');
  const byName = Map.groupBy(keys, ({ name }) => name);
  for (const name of ledger.unanswered) {
    assert.ok((byName.get(name)?.length ?? 0) <= 1, `${name} was made twice`);
  }
  // Who holds no value of it can say no more of it.
  ledger.unanswered.clear();
  for (const [name, key] of ledger.keys) {
    const [stored, ...more] = byName.get(name) ?? [];
    assert.equal(more.length, 0, `${name} was made twice`);
    assert.equal(stored?.id, key.id, `${name} is lost`);
    const isRevoked = stored.state === 'revoked';
    if (key.revoked !== 'asked') assert.equal(isRevoked, key.revoked === 'yes', `${name}`);
    key.revoked = isRevoked ? 'yes' : 'no';
    await until(async () => (await client.opens(key.key)) !== isRevoked, {
      what: `the data plane to know that ${name} is ${stored.state}`,
      timeoutMs: knownMs,
    });
  }
}

/** C4: whoever finds the change finds its note. */
async function checkNotes(client: LoadClient, ledger: CrashLedger): Promise<void> {
  for (const { id, revoked } of [...ledger.keys.values()].slice(-notesChecked)) {
    const notes = await listed<{ action: string }>(client, `/audit?target_id=${id}&`);
    assert.deepEqual(
      notes.map(({ action }) => action).toSorted(),
      revoked === 'yes' ? ['api_key.create', 'api_key.revoke'] : ['api_key.create'],
    );
  }
}

/** G1, G2 of the journal. */
async function checkUsage(client: LoadClient, ledger: CrashLedger): Promise<void> {
  let rows = new Map<string, ListedRequest>();
  const isThere = async (): Promise<boolean> => {
    rows = new Map();
    for (const row of await listed<ListedRequest>(client, '/requests?')) {
      assert.ok(!rows.has(row.id), `${row.id} was counted twice`);
      rows.set(row.id, row);
    }
    return [...ledger.answered].every((id) => rows.has(id));
  };
  await until(isThere, { what: 'the usage of every answer', timeoutMs: deliveredMs });
  for (const id of ledger.answered) {
    const { outcome, status } = rows.get(id) as ListedRequest;
    assert.deepEqual({ outcome, status }, { outcome: 'completed', status: 200 }, id);
  }
  ledger.unwritten = 0;
  for (const id of ledger.broken) {
    const row = rows.get(id);
    if (row === undefined) ledger.unwritten += 1;
    else assert.ok(['interrupted', 'completed'].includes(row.outcome), `${id}: ${row.outcome}`);
  }
  // Nearly all of them were begun on disk: more would mean that nobody replays the journal.
  assert.ok(ledger.unwritten <= 2 + ledger.broken.size / 5, `${ledger.unwritten} have no row`);
}
