import assert from 'node:assert/strict';
import test from 'node:test';
import {
  defaultTierForCpu,
  defaultTiers,
  effectiveTiers,
  resolveTierSlug,
  tierSlugs,
  tierTable,
} from './tiers.ts';

const epyc = { vendor: 'amd', serverClass: true } as const;
const xeon = { vendor: 'intel', serverClass: true } as const;
const laptop = { vendor: 'intel', serverClass: false } as const;

test('every slug has a row and the row names itself', () => {
  for (const slug of tierSlugs) assert.equal(defaultTiers[slug].slug, slug);
});

test('figures of the product table are not altered by accident', () => {
  const figures = tierSlugs.map((slug) => {
    const tier = defaultTiers[slug];
    return [
      slug,
      tier.priority,
      tier.tokensPerMinute,
      tier.requestsPerMinute,
      tier.concurrentPerProject,
      tier.engineBatch,
      tier.requestTimeoutMs / 1000,
      tier.idleStreamTimeoutMs / 1000,
      tier.maxModelBytes === null ? null : tier.maxModelBytes / 1e9,
    ];
  });
  assert.deepEqual(figures, [
    ['free', 10, 10_000, 64, 5, 1, 30, 120, 48],
    ['cpu_amd_optimized', 20, 100_000, 128, 20, 8, 300, 600, null],
    ['cpu_intel_optimized', 20, 100_000, 128, 20, 8, 300, 600, null],
    ['gpu_nvidia_shared', 25, 500_000, 256, 50, 16, 300, 600, null],
    ['gpu_amd_shared', 25, 500_000, 256, 50, 16, 300, 600, null],
    ['gpu_intel_shared', 25, 500_000, 256, 50, 16, 300, 600, null],
    ['self_hosted', 30, null, null, 96, 64, 1800, 3600, 512],
  ]);
  assert.equal(defaultTiers.self_hosted.fallbackByDefault, false);
  assert.equal(defaultTiers.free.batching, false);
});

test('an operator figure replaces one cell and nothing else', () => {
  const table = tierTable({ free: { requestsPerMinute: 1 } });
  assert.equal(table.free.requestsPerMinute, 1);
  assert.equal(table.free.tokensPerMinute, 10_000);
  assert.deepEqual(table.gpu_amd_shared, defaultTiers.gpu_amd_shared);
});

test('a deprecated slug is stored as its shared tier and says so', () => {
  assert.deepEqual(resolveTierSlug('gpu_amd_dedicated'), {
    ok: true,
    slug: 'gpu_amd_shared',
    deprecated: 'gpu_amd_dedicated',
  });
  assert.deepEqual(resolveTierSlug('free'), { ok: true, slug: 'free' });
  assert.deepEqual(resolveTierSlug('toString'), { ok: false, reason: 'unknown' });
});

test('a desktop processor gets no CPU tier', () => {
  assert.equal(defaultTierForCpu(laptop), null);
  assert.equal(defaultTierForCpu(epyc), 'cpu_amd_optimized');
  assert.equal(defaultTierForCpu(xeon), 'cpu_intel_optimized');
});

test('T1 a private agent never carries free and a shared one never self_hosted', () => {
  const base = { accelerators: [], cpu: epyc } as const;
  assert.deepEqual(
    effectiveTiers({ ...base, ownership: 'project', supportedTiers: ['free', 'gpu_amd_shared'] }),
    ['gpu_amd_shared', 'self_hosted'],
  );
  assert.deepEqual(
    effectiveTiers({ ...base, ownership: 'shared', supportedTiers: ['self_hosted'] }),
    ['free'],
  );
});

test('T3 an agent whose key names only self_hosted is not offered for its GPU', () => {
  const machine = { accelerators: [{ kind: 'nvidia' }], cpu: xeon } as const;
  assert.deepEqual(
    effectiveTiers({ ...machine, ownership: 'project', supportedTiers: ['self_hosted'] }),
    ['self_hosted'],
  );
  assert.deepEqual(effectiveTiers({ ...machine, ownership: 'project', supportedTiers: null }), [
    'gpu_nvidia_shared',
    'self_hosted',
  ]);
});

test('a machine without a known accelerator is not given a tier by default', () => {
  const plain = { accelerators: [], cpu: laptop, supportedTiers: null } as const;
  assert.deepEqual(effectiveTiers({ ...plain, ownership: 'project' }), ['self_hosted']);
  assert.deepEqual(effectiveTiers({ ...plain, ownership: 'shared' }), ['free']);
});
