import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { nodeArguments } from '../process/nodeArguments.ts';

const module = path.join(import.meta.dirname, 'youngGarbage.ts');

/** 400 buffers of 1 MiB, one a turn; says how much is left of them, and how often it was marked. */
const program = `
import { leaveToCollector } from ${JSON.stringify(module)};
import { PerformanceObserver, constants } from 'node:perf_hooks';
let full = 0;
const major = constants.NODE_PERFORMANCE_GC_MAJOR;
new PerformanceObserver((list) => {
  for (const { detail } of list.getEntries()) full += detail.kind === major;
}).observe({ entryTypes: ['gc'] });
let most = 0;
for (let n = 0; n < 400; n += 1) {
  Buffer.allocUnsafeSlow(1 << 20);
  leaveToCollector(1 << 20);
  await new Promise((resolve) => setImmediate(resolve));
  most = Math.max(most, process.memoryUsage().arrayBuffers);
}
await new Promise((resolve) => setTimeout(resolve, 50));
console.log(JSON.stringify({ full, mostMiB: most / 2 ** 20 }));
`;

test('large buffers that pile up until the whole heap is collected', () => {
  const args = [...nodeArguments, '--input-type=module', '--eval', program];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  const { full, mostMiB } = JSON.parse(stdout) as { full: number; mostMiB: number };
  assert.equal(full, 0, stderr);
  assert.ok(mostMiB < 48, `${mostMiB} MiB`);
});
