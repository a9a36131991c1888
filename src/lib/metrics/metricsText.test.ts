import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Histogram } from './histogram.ts';
import { defineMetrics, metricsText } from './metricsText.ts';
import { LabelledCounter, LabelledHistogram } from './series.ts';

const table = defineMetrics({
  a_total: { kind: 'counter', help: 'Line\nwith \\.', labels: ['x', 'y'] },
  b_seconds: { kind: 'histogram', help: 'B.' },
  c: { kind: 'gauge', help: 'C.' },
});

test('text that a scraper reads otherwise than it was meant', () => {
  const histogram = new Histogram([0.1, 1]);
  for (const value of [0.05, 0.1, 0.5, 7]) histogram.observe(value);
  const text = metricsText(table, {
    a_total: [[['quote " and \\', 'line\n'], 2]],
    b_seconds: histogram,
    c: [],
  });
  assert.equal(
    text,
    [
      '# HELP a_total Line\\nwith \\\\.',
      '# TYPE a_total counter',
      'a_total{x="quote \\" and \\\\",y="line\\n"} 2',
      '# HELP b_seconds B.',
      '# TYPE b_seconds histogram',
      'b_seconds_bucket{le="0.1"} 2',
      'b_seconds_bucket{le="1"} 3',
      'b_seconds_bucket{le="+Inf"} 4',
      'b_seconds_sum 7.65',
      'b_seconds_count 4',
      '# HELP c C.',
      '# TYPE c gauge',
      '',
    ].join('\n'),
  );
});

test('a value that is no number makes a sum that stays no number', () => {
  const histogram = new Histogram([1]);
  for (const value of [NaN, Infinity, 2]) histogram.observe(value);
  assert.deepEqual([histogram.count, histogram.sum], [1, 2]);
});

test('labels that somebody makes up fill the memory', () => {
  const counter = new LabelledCounter({ maxSeries: 10 });
  const histogram = new LabelledHistogram({ maxSeries: 10, bounds: [1] });
  for (let at = 0; at < 1000; at += 1) {
    counter.add([`name ${at}`, 'x']);
    histogram.observe([`name ${at}`], at);
  }
  const samples = counter.samples();
  assert.equal(samples.length, 10);
  assert.equal(histogram.samples().length, 10);
  const sum = samples.reduce((to, [, value]) => to + Number(value), 0);
  assert.equal(sum, 1000, 'what is over the bound is not counted');
  assert.deepEqual(samples.at(-1), [['other', 'other'], 991]);
});
