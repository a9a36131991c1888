/** The short version of `npm run chaos`, and `xim chaos` against the same fleet. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { runChaosOn } from '../src/testing/chaos/chaosRun.ts';
import { ChaosStage } from '../src/testing/chaos/chaosStage.ts';
import { chaosText } from '../src/testing/chaos/chaosStream.ts';
import { runXim } from '../src/testing/processes/agentProcess.ts';
import { endLeftovers } from '../src/testing/processes/processes.ts';

let stage: ChaosStage;

before(async () => {
  stage = await ChaosStage.open(2);
});
after(async () => {
  await stage.close();
  endLeftovers();
});

test('streams of real processes lose or double a character when an agent is killed', async () => {
  const only = ['kill_agent', 'malformed_chunk', 'client_hang_up'];
  const options = { rounds: 1, streams: 8, pieces: 25, downMs: 0, only };
  const figures = await runChaosOn(stage, options, () => {});
  assert.ok(figures.passed, JSON.stringify(figures, null, 2));
  const [killed] = figures.scenarios;
  assert.ok((killed?.interruptedCorrect ?? 0) > 0, 'nothing was interrupted');
});

test('a fleet is broken that nobody calls staging, or a staging fleet loses streams', async () => {
  const { server } = stage.running.credentials();
  const question = `Repeat exactly: ${chaosText('fleet', 25)}`;
  const words = ['chaos', server, '--endpoint', 'own', '--streams', '4', '--down', '1s'];
  const asked = [...words, '--question', question];
  const env = { XIM_API_KEY: stage.target.key };
  const unsaid = runXim(stage.running, asked, env);
  await assert.rejects(unsaid, /say so with --yes-this-is-staging/);
  const other = ['chaos', 'https://example.com', '--yes-this-is-staging'];
  await assert.rejects(runXim(stage.running, other), /this context is for/);
  const out = await runXim(stage.running, [...asked, '--yes-this-is-staging'], env);
  const figures = JSON.parse(out.trim().split('\n').at(-1) ?? '') as {
    passed: boolean;
    textsCompared: boolean;
    scenarios: { scenario: string; wrong: number | null; nextTokenMs: object | null }[];
  };
  assert.ok(figures.passed && figures.textsCompared, out);
  const [cut, ...others] = figures.scenarios;
  assert.ok(cut?.scenario === 'cut_agent' && cut.nextTokenMs !== null, out);
  assert.equal(others.length, 3);
});
