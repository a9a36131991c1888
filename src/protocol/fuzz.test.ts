import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzLink } from '../testing/links/linkFuzz.ts';

void test('no bytes make a link throw, hang on to a stream or harm another', async () => {
  const seed = Number(process.env['XIM_FUZZ_SEED'] ?? Date.now() % 1_000_000);
  const report = await fuzzLink({ seed, rounds: 2000 });
  console.log(JSON.stringify(report));
  assert.equal(report.rounds, 2000);
  // A fuzz that is turned away at the door proves nothing.
  for (const [what, count] of Object.entries(report.heard)) {
    assert.ok(count > 300, `only ${count} ${what} were heard`);
  }
  assert.ok((report.closed['protocol_error'] ?? 0) > 300);
  assert.ok(report.survived > 20);
});
