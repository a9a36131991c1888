import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { startTied } from './tiedProcess.ts';

const module = pathToFileURL(path.join(import.meta.dirname, 'tiedProcess.ts')).href;
const parent = `
import { startTied } from '${module}';
const { child } = startTied('sh', ['-c', 'echo $$ >&2; exec sleep 600']);
child.stderr.pipe(process.stdout);`;

async function untilGone(pid: number): Promise<void> {
  while (existsSync(`/proc/${pid}`)) await new Promise((resolve) => setImmediate(resolve));
}

test('a tool that goes on after its parent was killed', { timeout: 10_000 }, async () => {
  const args = ['--input-type=module', '-e', parent];
  const started = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(createInterface({ input: started.stdout }), 'line')) as [string];
  const tool = Number(line);
  assert.ok(existsSync(`/proc/${tool}`));
  started.kill('SIGKILL');
  await untilGone(tool);
});

test('a tool that cannot be ended before its time', { timeout: 10_000 }, async () => {
  const { child, end } = startTied('sleep', ['600']);
  end();
  const [code] = (await once(child, 'close')) as [number];
  assert.equal(code, 137);
});

test('an exit code, an argument or a word of the tool that is lost on its way', async () => {
  const { child } = startTied('sh', ['-c', 'echo "$1" >&2; exit 3', 'sh', "it's *"]);
  child.stderr.setEncoding('utf8');
  let said = '';
  child.stderr.on('data', (text: string) => (said += text));
  const [code] = (await once(child, 'close')) as [number];
  assert.equal(code, 3);
  assert.equal(said, "it's *\n");
  const missing = startTied('xim-no-such-tool', []).child;
  missing.stderr.resume();
  assert.deepEqual(await once(missing, 'close'), [127, null]);
});
