import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { nodeArguments } from '../process/nodeArguments.ts';
import { SteadyMap } from './steadyMap.ts';

const key = fc.oneof(
  fc.integer({ min: 0, max: 60 }),
  fc.integer({ min: 0, max: 60 }).map((n) => `req_${n}`),
);
const step = fc.record({ key, kind: fc.constantFrom('set', 'set', 'delete', 'get') });

test('an entry is lost, doubled or found again after its end', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const model = new Map<string | number, number>();
      const map = new SteadyMap<string | number, number>();
      for (const [n, { key: at, kind }] of steps.entries()) {
        if (kind === 'set') {
          model.set(at, n);
          map.set(at, n);
        } else if (kind === 'delete') assert.equal(map.delete(at), model.delete(at));
        assert.equal(map.get(at), model.get(at));
        assert.equal(map.has(at), model.has(at));
        assert.equal(map.size, model.size);
      }
      const sorted = (all: Iterable<unknown>): string[] => [...all].map(String).toSorted();
      assert.deepEqual(sorted(map.keys()), sorted(model.keys()));
      assert.deepEqual(sorted(map.values()), sorted(model.values()));
      for (const one of model.keys()) assert.equal(map.get(one), model.get(one));
      map.clear();
      assert.deepEqual([map.size, map.values()], [0, []]);
    }),
  );
});

test('a map that was large stays large, or one that is emptied while it is walked breaks', () => {
  const map = new SteadyMap<number, number>();
  for (let n = 0; n < 10_000; n += 1) map.set(n, n);
  let sum = 0;
  for (const n of map.values()) {
    map.delete(n);
    sum += 1;
  }
  assert.equal(sum, 10_000);
  assert.equal(map.size, 0);
  for (let n = 0; n < 100; n += 1) assert.equal(map.set(n, n).get(n), n);
});

/** 20,000 values of 10 KiB, 64 at once; says how often the whole heap was collected for them. */
const program = `
import { SteadyMap } from ${JSON.stringify(path.join(import.meta.dirname, 'steadyMap.ts'))};
import { PerformanceObserver, constants } from 'node:perf_hooks';
let full = 0;
const major = constants.NODE_PERFORMANCE_GC_MAJOR;
new PerformanceObserver((list) => {
  for (const { detail } of list.getEntries()) full += detail.kind === major;
}).observe({ entryTypes: ['gc'] });
const map = process.argv[1] === 'steady' ? new SteadyMap() : new Map();
for (let n = 0; n < 20_000; n += 1) {
  map.set('req_' + n, Array.from({ length: 250 }, () => [n]));
  map.delete('req_' + (n - 64));
  if (n % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
}
await new Promise((resolve) => setTimeout(resolve, 50));
console.log(full);
`;

test('what was removed waits for a full collection', () => {
  const args = [...nodeArguments, '--input-type=module', '--eval', program, '--', 'steady'];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.equal(stdout.trim(), '0', stderr);
});
