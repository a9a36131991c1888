import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig } from '../../lib/config.ts';
import { collectorUrl, parsePairs, samplerOf, tracingTable } from './tracingConfig.ts';
import type { TracingConfig } from './tracingConfig.ts';

function read(env: Record<string, string>): TracingConfig {
  const outcome = readConfig(tracingTable, { args: [], env });
  assert.equal(outcome.kind, 'ok', JSON.stringify(outcome));
  return outcome.kind === 'ok' ? outcome.config : assert.fail();
}

const base = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318/' };

test('spans go to nobody asked for, or to another address than the specification’s', () => {
  assert.equal(collectorUrl(read({})), undefined);
  assert.equal(collectorUrl(read(base)), 'http://collector:4318/v1/traces');
  const whole = { ...base, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://other/spans' };
  assert.equal(collectorUrl(read(whole)), 'https://other/spans');
  for (const off of [{ OTEL_SDK_DISABLED: 'TRUE' }, { OTEL_TRACES_EXPORTER: 'none' }]) {
    assert.equal(collectorUrl(read({ ...base, ...off })), undefined, JSON.stringify(off));
  }
  assert.notEqual(collectorUrl(read({ ...base, OTEL_SDK_DISABLED: 'false' })), undefined);
});

test('a variable that means something to other programs keeps the server from starting', () => {
  const config = read({
    ...base,
    OTEL_TRACES_SAMPLER: 'jaeger_remote',
    OTEL_TRACES_SAMPLER_ARG: 'endpoint=http://x',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
  });
  const { name, ratio, warnings } = samplerOf(config);
  assert.deepEqual([name, ratio], ['parentbased_always_on', 1]);
  assert.equal(warnings.length, 2, warnings.join());
});

test('a share that is none is taken for one, or a good one is not', () => {
  const sampler = (share: string): ReturnType<typeof samplerOf> =>
    samplerOf(read({ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: share }));
  assert.deepEqual(sampler('0.05'), { name: 'traceidratio', ratio: 0.05, warnings: [] });
  for (const share of ['2', '-1', 'all']) {
    const { ratio, warnings } = sampler(share);
    assert.deepEqual([ratio, warnings.length], [1, 1], share);
  }
});

test('headers that are read otherwise than they were written, or shown', () => {
  assert.deepEqual(parsePairs('a=1, b = x%20y%3D ,c==,'), { a: '1', b: 'x y=', c: '=' });
  for (const bad of ['a', '=b', 'a=%']) assert.equal(parsePairs(bad), undefined, bad);
  const env = { OTEL_EXPORTER_OTLP_HEADERS: 'very-secret' };
  const outcome = readConfig(tracingTable, { args: [], env });
  assert.equal(outcome.kind, 'invalid');
  assert.ok(!JSON.stringify(outcome).includes('very-secret'));
});
