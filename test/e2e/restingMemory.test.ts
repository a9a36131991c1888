/** What a server holds that nobody uses yet, from `npm start` on a machine that never ran it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { endLeftovers, repository, startProcess } from '../../src/testing/processes/processes.ts';
import { temporaryDirectory } from '../../src/testing/processes/serverProcess.ts';
import type { ReadyLine } from '../../src/testing/processes/serverProcess.ts';

/** The project's bound on a server at rest. */
const residentMiBMax = 180;

after(endLeftovers);

test('a server at rest that keeps what its start has used', async (t) => {
  const directory = await temporaryDirectory('resting');
  t.after(() => directory.remove());
  const { scripts } = JSON.parse(readFileSync(path.join(repository, 'package.json'), 'utf8')) as {
    scripts: { start: string };
  };
  // As npm runs it, but without anything compiled before: that is the larger case.
  const command = scripts.start.replace(/NODE_COMPILE_CACHE=\S+ /, '');
  assert.notEqual(command, scripts.start);
  const options = `--port 0 --json --no-agent --data-dir ${directory.path}`;
  const env = { NODE_DISABLE_COMPILE_CACHE: '1' };
  const running = startProcess('sh', ['-c', `${command} ${options}`], { env });
  const [line] = await running.seen(/^\{"ready".*\}$/m);
  const { pid } = JSON.parse(line) as ReadyLine;
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const residentMiB = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
  await running.end();
  assert.ok(residentMiB > 50 && residentMiB < residentMiBMax, `${residentMiB} MiB`);
});
