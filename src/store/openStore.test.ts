/** Which store a URL names. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../lib/clock.ts';
import { silentLogger } from '../lib/log.ts';
import { systemRandom } from '../lib/random.ts';
import { openStore } from './openStore.ts';

const parts = { log: silentLogger, clock: systemClock, random: systemRandom };

void test('a path and its sqlite: form name two databases', async (t) => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'xim-open-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const file = path.join(directory, 'xim.db');
  const first = await openStore({ url: file, ...parts });
  await first.settingOrInsert('name', 'value');
  await first.close();
  const second = await openStore({ url: `sqlite:${file}`, ...parts });
  assert.equal(await second.setting('name'), 'value');
  await second.close();
});

void test('the URL of a PostgreSQL server is taken for the name of a file', async () => {
  for (const scheme of ['postgres', 'postgresql']) {
    const url = `${scheme}://xim@127.0.0.1:1/xim`;
    await assert.rejects(openStore({ url, ...parts }), { kind: 'unavailable' });
  }
});
