/**
 * The short version of `npm run proofs -- routing`: one seed, few requests, published rules in the
 * place of the product's scheduler, so that it is known what has to come out.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prove } from './proofs/routing.ts';

const short = ['--drawn', '500', '--seeds', '1'];

test('a rule that sees nothing and passes against one that sees more', async () => {
  const { passed, checks } = await prove([
    ...short,
    '--policy',
    'round-robin',
    '--rules',
    'lmetric',
  ]);
  assert.equal(passed, false);
  const failed = checks.filter((check) => !check.passed).map(({ name }) => name);
  assert.ok(failed.includes('drawn, light: ttftMean'), failed.join('\n'));
  // It predicts nothing: what was not measured has not passed.
  assert.ok(failed.includes('drawn, mixed: error of predictions'));
});

test('a rule that loses against itself where there is room', async () => {
  const { checks } = await prove([...short, '--policy', 'lmetric', '--rules', 'lmetric']);
  const light = checks.filter(({ name }) => name.startsWith('drawn, light'));
  assert.equal(light.length, 3);
  assert.ok(light.every((check) => check.passed));
  // 1.2 times as many under 5 s, or 0.95 of the wait, nobody has against oneself.
  assert.ok(checks.some(({ passed }) => !passed));
});
