/** Starts on a disk without room, a real one, and what they leave for the start after. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { createJoinKey } from '../../src/testing/processes/agentProcess.ts';
import { startFakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import type { FakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import { endLeftovers, repository, startProcess } from '../../src/testing/processes/processes.ts';
import type { RunningProcess } from '../../src/testing/processes/processes.ts';
import {
  spawnServer,
  startServerProcess,
  temporaryDirectory,
} from '../../src/testing/processes/serverProcess.ts';
import { mountSmallDisk } from '../../src/testing/database/smallDisk.ts';

const kib = 1024;
const page = 4 * kib;

let base: Awaited<ReturnType<typeof temporaryDirectory>>;
let engine: FakeEngine;

before(async () => {
  base = await temporaryDirectory('full');
  engine = await startFakeEngine();
});
after(async () => {
  endLeftovers();
  await engine.close();
  await base.remove();
});

test('a first start on a full disk: half a platform, keys that nobody has, a stack', async (t) => {
  // What is full first: the lock, the files beside the database, its tables, its first rows.
  for (const leaveBytes of [0, 6 * page, 24 * page, 96 * page]) {
    const directory = path.join(base.path, `left-${leaveBytes}`);
    const disk = mountSmallDisk(directory, { bytes: 16 * 1024 * kib });
    if (disk.kind === 'missing') return t.skip(disk.reason);
    try {
      disk.fill({ leaveBytes });
      const dataDir = path.join(directory, 'data');
      const args = ['--no-agent'];
      const cramped = spawnServer({ dataDir, args });
      await Promise.race([cramped.seen(/^\{"ready"/m).catch(() => {}), cramped.exited]);
      const code = await cramped.end('SIGTERM');
      if (code !== 0) {
        assert.ok([3, 4, 6].includes(Number(code)), `${leaveBytes}: ${code} ${cramped.err()}`);
        assert.match(cramped.err(), /disk (is )?full/, String(leaveBytes));
      }
      assert.doesNotMatch(cramped.err(), /^ {4}at /m);
      disk.makeRoom();
      const server = await startServerProcess({ dataDir, args });
      assert.match(server.ready.api_key ?? '', /^xim_default_/);
      const headers = { authorization: `Bearer ${server.ready.api_key}` };
      const models = await fetch(`${server.ready.base_url}/models`, { headers });
      assert.equal(models.status, 200);
      if (code !== 0) assert.ok(server.ready.admin.password !== null, 'it was never shown');
      assert.equal(await server.end(), 0, server.err());
    } finally {
      disk.remove();
    }
  }
});

test('a full disk that costs a join key before or after it was taken, or an agent', async (t) => {
  const directory = path.join(base.path, 'states');
  const disk = mountSmallDisk(directory, { bytes: 1024 * kib });
  if (disk.kind === 'missing') return t.skip(disk.reason);
  t.after(() => disk.remove());
  const args = ['--no-agent', '--engine-url', engine.url];
  const server = await startServerProcess({ dataDir: path.join(base.path, 'data'), args });
  const start = (name: string, key: string): RunningProcess => {
    const entry = path.join(repository, 'src', 'main', 'agent.ts');
    const where = ['--server', server.credentials().server, '--engine-url', engine.url];
    const state = ['--state-dir', path.join(directory, name)];
    return startProcess(process.execPath, [entry, ...where, ...state], {
      env: { XIM_JOIN_KEY: key },
    });
  };
  // With one page the key pair finds its place, and what the server answers does not.
  for (const leaveBytes of [0, page]) {
    const name = `left-${leaveBytes}`;
    const { id, key } = await createJoinKey(server, ['--name', name]);
    disk.fill({ leaveBytes });
    const cramped = start(name, key);
    assert.equal(await cramped.exited, 7, cramped.err());
    assert.match(cramped.err(), /cannot be written to .*: the disk is full\..*the same join key/);
    const { management_key: management, server: origin } = server.credentials();
    const listed = await fetch(`${origin}/api/v1/projects/default/join-keys`, {
      headers: { authorization: `Bearer ${management}` },
    });
    const { data } = (await listed.json()) as { data: { id: string; uses: number }[] };
    assert.equal(data.find((one) => one.id === id)?.uses, leaveBytes === 0 ? 0 : 1);
    const state = readdirSync(path.join(directory, name));
    assert.deepEqual(
      state.toSorted(),
      leaveBytes === 0 ? ['agent.lock'] : ['agent.json', 'agent.lock'],
    );
    disk.makeRoom();
    const agent = start(name, key);
    await agent.seen(/ is ready$/m);
    assert.equal(await agent.end(), 0, agent.err());
    // A later start begins with a refresh, whose successor has to be written too.
    disk.fill({ leaveBytes: 0 });
    const back = start(name, '');
    await back.seen(/state cannot be written: the disk is full/);
    disk.makeRoom();
    await back.seen(/ is ready$/m);
    assert.equal(await back.end(), 0, back.err());
  }
  await server.end();
});
