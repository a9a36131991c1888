/** The first start over a real database, cut at every moment at which it can be cut. */
import { tierTable } from '../../domain/tiers/tiers.ts';
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import type { Credentials } from '../../cli/serverContext.ts';
import { createControl } from '../../control/control.ts';
import type { Control } from '../../control/control.ts';
import { openSecrets } from '../../control/secrets.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { systemRandom } from '../../lib/random.ts';
import { openStore } from '../../store/openStore.ts';
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
    allowUnsandboxed: false,
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
        renewCredentials: false,
        note: (text) => void notes.push(text),
        ...changes,
      }),
    close: () => store.close(),
  };
}

function accepted({ control }: Opened, credentials: Credentials | undefined) {
  const { api_key: apiKey = '', management_key: managementKey = '' } = credentials ?? {};
  return control.acceptedKeys({ apiKey, managementKey });
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
  assert.deepEqual(await accepted(first, credentials), { apiKey: true, managementKey: true });
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
  assert.deepEqual(await accepted(first, credentials), { apiKey: true, managementKey: true });
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
    assert.match(
      note,
      /Clients keep their keys.*Put the file back.*start once with --new-credentials/,
    );
    return why;
  };
  rmSync(first.file.path);
  assert.match(await lost(), /credentials\.json is gone\.$/);
  const other = await surroundings();
  const { credentials } = (await other.open()).keys;
  assert.ok(credentials !== undefined);
  first.file.update(credentials);
  assert.match(await lost(), /are not accepted: .* belongs to another database/);
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

test('lost credentials that no start can make anew, or that one makes anew again', async () => {
  const first = await surroundings();
  const { credentials: lost } = (await first.open()).keys;
  const renewed = async (): Promise<Credentials> => {
    const { credentials, why } = (await first.open({ renewCredentials: true })).keys;
    assert.ok(credentials !== undefined, why);
    assert.deepEqual(await accepted(first, credentials), { apiKey: true, managementKey: true });
    assert.deepEqual(first.file.read(), { kind: 'ok', credentials });
    assert.equal(first.file.readPending().kind, 'none');
    return credentials;
  };
  rmSync(first.file.path);
  const made = await renewed();
  assert.match(first.notes.at(-1) ?? '', /ends after 24 hours.*has ended.*one-time password\.$/);
  assert.notEqual(made.api_key, lost?.api_key);
  assert.notEqual(made.admin.password, lost?.admin.password);
  assert.deepEqual(await renewed(), made, 'a start that is told so each time');
  assert.match(first.notes.at(-1) ?? '', /is in order; nothing is made anew/);
  writeFileSync(first.file.path, '{"version":1');
  assert.notEqual((await renewed()).api_key, made.api_key);
  assert.match(first.notes.at(-1) ?? '', /What was there is .*credentials\.json\.old now\.$/);
  rmSync(first.file.path);
  mkdirSync(first.file.path);
  rmSync(`${first.file.path}.old`);
  await renewed();
  await first.close();
});

test('a renewal that is cut off and costs clients the key that they have just got', async () => {
  const first = await surroundings();
  await first.open();
  rmSync(first.file.path);
  const uncommitted: Control = {
    ...first.control,
    renewCredentials: (input) =>
      first.control.renewCredentials({
        ...input,
        keep: async (secrets) => {
          await input.keep(secrets);
          throw new Error('power cut');
        },
      }),
  };
  const cut = { control: uncommitted, renewCredentials: true };
  await assert.rejects(first.open(cut), /power cut/);
  assert.equal((await first.open()).keys.credentials, undefined, 'nothing of it is good');
  const adopting: CredentialsFile = {
    ...first.file,
    adoptPending() {
      throw new Error('power cut');
    },
  };
  await assert.rejects(first.open({ file: adopting, renewCredentials: true }), /power cut/);
  const pending = first.file.readPending();
  const { credentials } = (await first.open()).keys;
  assert.deepEqual(pending, { kind: 'ok', credentials });
  await first.close();
});

test('a management key that was revoked, found out by the command line first', async () => {
  const first = await surroundings();
  const { credentials: before } = (await first.open()).keys;
  assert.ok(before !== undefined);
  const damaged = { ...before, management_key: 'xim_default_x' };
  first.file.update(damaged);
  const found = (await first.open()).keys;
  assert.deepEqual(found.credentials, damaged);
  assert.match(first.notes.at(-1) ?? '', /^The management key in .* is not accepted any more/);
  const { credentials } = (await first.open({ renewCredentials: true })).keys;
  assert.equal(credentials?.api_key, before.api_key, 'clients have it');
  assert.deepEqual(credentials?.admin, before.admin);
  assert.deepEqual(await accepted(first, credentials), { apiKey: true, managementKey: true });
  await first.close();
});
