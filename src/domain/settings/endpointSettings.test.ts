import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type SettingsContext,
  newEndpointSettings,
  patchedSettings,
  servingTiers,
  settingsProblem,
  type EndpointSettings,
} from './endpointSettings.ts';
import { tierSlugs, tierTable } from '../tiers/tiers.ts';

const tiers = tierTable();
const context: SettingsContext = {
  tiers,
  exclusive: false,
  modelBytes: null,
  mayWeakenIsolation: false,
};
const fresh = (tier: EndpointSettings['tier']): EndpointSettings =>
  newEndpointSettings({ modelId: 'mdl_1', tier }, { tiers, exclusive: false });
const kindOf = (settings: EndpointSettings, over: Partial<SettingsContext> = {}) =>
  settingsProblem(settings, { ...context, ...over })?.kind;

test('an endpoint falls back by default where it should not, or not where it should', () => {
  for (const tier of tierSlugs) {
    assert.equal(fresh(tier).fallback.enabled, tier !== 'self_hosted', tier);
    assert.equal(kindOf(fresh(tier)), undefined, `${tier}: the defaults are refused`);
    const bound = newEndpointSettings({ modelId: 'm', tier }, { tiers, exclusive: true });
    assert.equal(bound.fallback.enabled, false, `${tier}, bound`);
  }
});

test('a patch changes what it does not name, or cannot set a field to null', () => {
  const before: EndpointSettings = {
    ...fresh('free'),
    region: 'eu',
    minimumIsolation: 'logical',
    fallback: { enabled: true, afterMs: 5, tier: 'gpu_amd_shared' },
  };
  assert.deepEqual(patchedSettings(before, {}), before);
  const undefinedFields = { region: undefined, fallback: { tier: undefined } };
  assert.deepEqual(patchedSettings(before, undefinedFields), before);
  const nulls = { region: null, minimumIsolation: null, fallback: { tier: null } };
  const after = patchedSettings(before, nulls);
  assert.deepEqual(
    [after.region, after.minimumIsolation, after.fallback],
    [null, null, { enabled: true, afterMs: 5, tier: null }],
  );
});

test('E1 self_hosted falls back without naming a shared tier', () => {
  const on = patchedSettings(fresh('self_hosted'), { fallback: { enabled: true } });
  assert.equal(kindOf(on), 'fallback_tier_needed');
  const named = patchedSettings(on, { fallback: { tier: 'free' } });
  assert.equal(kindOf(named), undefined);
  const toItself = patchedSettings(on, { fallback: { tier: 'self_hosted' } });
  assert.equal(kindOf(toItself), 'fallback_tier_private');
});

test('E2 an exclusive endpoint falls back', () => {
  assert.equal(kindOf(fresh('free'), { exclusive: true }), 'fallback_of_exclusive');
});

test('a wait beyond 30 s, below a millisecond, or after the deadline is accepted', () => {
  const withTimes = (queueTimeoutMs: number, afterMs: number) =>
    kindOf(patchedSettings(fresh('free'), { queueTimeoutMs, fallback: { afterMs } }));
  assert.equal(withTimes(30_000, 30_000), undefined);
  assert.equal(withTimes(30_001, 0), 'queue_timeout');
  assert.equal(withTimes(0, 0), 'queue_timeout');
  assert.equal(withTimes(1.5, 0), 'queue_timeout');
  assert.equal(withTimes(100, 101), 'fallback_after');
  assert.equal(withTimes(100, -1), 'fallback_after');
  assert.equal(withTimes(Number.NaN, 0), 'queue_timeout');
});

test('E3 a model larger than a tier that serves is accepted', () => {
  const modelBytes = 48_000_000_001;
  assert.equal(kindOf(fresh('free'), { modelBytes }), 'model_too_large');
  assert.equal(kindOf(fresh('free'), { modelBytes: modelBytes - 1 }), undefined);
  const fallsBack = patchedSettings(fresh('self_hosted'), {
    fallback: { enabled: true, tier: 'free' },
  });
  assert.equal(kindOf(fallsBack, { modelBytes }), 'model_too_large');
  const off = patchedSettings(fallsBack, { fallback: { enabled: false } });
  assert.equal(kindOf(off, { modelBytes }), undefined, 'a tier that cannot serve counts');
  assert.deepEqual(servingTiers(fallsBack), ['self_hosted', 'free']);
});
