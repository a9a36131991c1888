/** The first start over a real database, cut at every moment at which it can be cut. */
import { tierTable } from '../domain/tiers.ts';
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { createControl } from '../control/control.ts';
import type { Control } from '../control/control.ts';
import { openSecrets } from '../control/secrets.ts';
import { systemClock } from '../lib/clock.ts';
import { silentLogger } from '../lib/log.ts';
import { systemRandom } from '../lib/random.ts';
import { openStore } from '../store/openStore.ts';
import { credentialsFile } from './credentialsFile.ts';
import type { CredentialsFile } from './credentialsFile.ts';
import { modelWishOf } from './modelWish.ts';
import { openPlatform } from './platform.ts';
import type { PlatformOptions } from './platform.ts';

const base = mkdtempSync(path.join(os.tmpdir(), 'xim-platform-'));
after(() => rmSync(base, { recursive: true }));

interface Opened {
  control: Control;
  file: CredentialsFile;
  notes: string[];
  open(changes?: Partial<PlatformOptions>): ReturnType<typeof openPlatform>;
  close(): Promise<void>;
}

let directories = 0;

async function surroundings(directory?: string): Promise<Opened & { directory: string }> {
  directories += 1;
  const where = directory ?? mkdtempSync(path.join(base, `${directories}-`));
  const tools = { clock: systemClock, random: systemRandom, log: silentLogger };
  const store = await openStore({ url: path.join(where, 'xim.db'), ...tools });
  const secrets = await openSecrets({ file: path.join(where, 'secrets.key'), store, ...tools });
  const config = {
    disconnectedDiesAfterMs: null,
    defaultRegion: 'local',
    usersCreateProjects: false,
    tiers: tierTable(),
  };
  const control = createControl({ store, secrets, config, ...tools });
  const file = credentialsFile(where);
  const notes: string[] = [];
  const urls = {
    server: 'http://127.0.0.1:8080',
    pin: null,
    base_url: 'http://127.0.0.1:8080/default/default/v1',
    dashboard_url: 'http://127.0.0.1:8080/ui/',
  };
  return {
    directory: where,
    control,
    file,
    notes,
    open: (changes = {}) =>
      openPlatform({
        control,
        file,
        wish: undefined,
        adminEmail: 'admin@localhost',
        urls,
        note: (text) => void notes.push(text),
        ...changes,
      }),
    close: () => store.close(),
  };
}

test('a second start with other keys, another tier or another join key', async () => {
  const first = await surroundings();
  const made = await first.open();
  assert.ok(made.keys.credentials !== undefined && made.firstJoinKey !== undefined);
  await first.close();
  const second = await surroundings(first.directory);
  const found = await second.open();
  assert.deepEqual(found.keys, made.keys);
  assert.deepEqual(first.file.read(), { kind: 'ok', credentials: made.keys.credentials });
  assert.equal(found.tier, made.tier);
  assert.equal(found.firstJoinKey, undefined);
  assert.deepEqual(second.notes, []);
  await second.close();
});

test('a crash before the commit that leaves keys which open nothing', async () => {
  const first = await surroundings();
  const crashing: Control = {
    ...first.control,
    bootstrap: (input) =>
      first.control.bootstrap({
        ...input,
        keep: async (secrets) => {
          await input.keep(secrets);
          throw new Error('power cut');
        },
      }),
  };
  await assert.rejects(first.open({ control: crashing }), /power cut/);
  const lost = first.file.readPending();
  assert.ok(lost.kind === 'ok');
  const { credentials } = (await first.open()).keys;
  assert.notEqual(credentials?.api_key, lost.credentials.api_key);
  assert.ok(await first.control.credentialsMatch({ apiKey: credentials?.api_key ?? '' }));
  assert.equal(first.file.readPending().kind, 'none');
  await first.close();
});

test('a crash after the commit that loses the keys', async () => {
  const first = await surroundings();
  const adopting: CredentialsFile = {
    ...first.file,
    adoptPending() {
      throw new Error('power cut');
    },
  };
  await assert.rejects(first.open({ file: adopting }), /power cut/);
  assert.equal(first.file.read().kind, 'none');
  const { credentials } = (await first.open()).keys;
  assert.ok(await first.control.credentialsMatch({ apiKey: credentials?.api_key ?? '' }));
  assert.ok(credentials?.admin.password !== undefined, 'it was never shown');
  assert.deepEqual(first.file.read(), { kind: 'ok', credentials });
  await first.close();
});

test('credentials that are lost, damaged or of another database, without a word', async () => {
  const first = await surroundings();
  await first.open();
  const lost = async (): Promise<string> => {
    const { credentials, why } = (await first.open()).keys;
    assert.equal(credentials, undefined);
    const note = first.notes.at(-1) ?? '';
    assert.ok(why !== undefined && note.startsWith(why), note);
    assert.match(note, /Clients keep their keys.*Put the file back from a backup/);
    return why;
  };
  rmSync(first.file.path);
  assert.match(await lost(), /credentials\.json is gone\.$/);
  const other = await surroundings();
  const { credentials } = (await other.open()).keys;
  assert.ok(credentials !== undefined);
  first.file.update(credentials);
  assert.match(await lost(), /does not belong to this database/);
  writeFileSync(first.file.path, '{"version":1');
  assert.match(await lost(), /credentials\.json is damaged\.$/);
  rmSync(first.file.path);
  mkdirSync(first.file.path);
  assert.match(await lost(), /credentials\.json cannot be read \(EISDIR\)\.$/);
  await first.close();
  await other.close();
});

test('keys of a database that is gone, overwritten', async () => {
  const first = await surroundings();
  await first.open();
  await first.close();
  for (const name of ['xim.db', 'xim.db-wal', 'xim.db-shm', 'secrets.key']) {
    rmSync(path.join(first.directory, name), { force: true });
  }
  const again = await surroundings(first.directory);
  await again.open();
  assert.ok(existsSync(`${again.file.path}.old`));
  assert.match(again.notes[0] ?? '', /keys of an earlier one.*credentials\.json\.old/);
  await again.close();
});

test('another --model that is forgotten at the next start', async () => {
  const first = await surroundings();
  await first.open();
  const wish = modelWishOf('hf:owner/repo:tiny.gguf');
  assert.equal((await first.open({ wish })).model?.name, 'tiny');
  assert.match(first.notes[0] ?? '', /The model is now tiny/);
  assert.equal((await first.open()).model?.source, 'hf:owner/repo:tiny.gguf');
  assert.equal(first.notes.length, 1);
  await first.close();
});
