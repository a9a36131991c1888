import assert from 'node:assert/strict';
import { test } from 'node:test';
import { labelledFeatures, targetLabel as label } from './tierFeatures.ts';

test('a figure in free-form text, a list or an object is shown without its label', () => {
  const said = {
    uptime: '99.9 %',
    hours: 24,
    zero: 0,
    accelerated: true,
    note: 'best effort',
    none: null,
    list: ['fast', '10 ms', { p99: 50 }],
  };
  assert.deepEqual(labelledFeatures(said), {
    uptime: { value: '99.9 %', label },
    hours: { value: 24, label },
    zero: { value: 0, label },
    accelerated: true,
    note: 'best effort',
    none: null,
    list: ['fast', { value: '10 ms', label }, { p99: { value: 50, label } }],
  });
});
