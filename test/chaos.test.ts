/** The short version of `npm run chaos`, and `xim chaos` against the same fleet. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { runChaosOn } from '../src/testing/chaos/chaosRun.ts';
import { ChaosStage } from '../src/testing/chaos/chaosStage.ts';
import { chaosText } from '../src/testing/chaos/chaosStream.ts';
import { runXim, startXim } from '../src/testing/processes/agentProcess.ts';
import { endLeftovers, until } from '../src/testing/processes/processes.ts';

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
    scenarios: {
      scenario: string;
      met: number;
      wrong: number | null;
      nextTokenMs: object | null;
    }[];
  };
  assert.ok(figures.passed && figures.textsCompared, out);
  const [cut, ...others] = figures.scenarios;
  assert.ok(cut?.scenario === 'cut_agent' && cut.nextTokenMs !== null, out);
  assert.equal(others.length, 3);
  assert.ok(
    figures.scenarios.every(({ met }) => met > 0),
    out,
  );
});

test('Ctrl-C in the middle of it leaves an agent suspended', async () => {
  const { server } = stage.running.credentials();
  const question = `Repeat exactly: ${chaosText('fleet', 25)}`;
  const words = ['chaos', server, '--endpoint', 'own', '--streams', '4', '--question', question];
  const env = { XIM_API_KEY: stage.target.key };
  const running = startXim(stage.running, [...words, '--yes-this-is-staging'], env);
  // The last scenario: all of them are down for twelve seconds.
  await running.seen(/^suspending \S+, \S+ /m, 60_000);
  await until(async () => (await suspended()) === 2, { what: 'all agents to be suspended' });
  assert.equal(await running.end('SIGINT'), 130, running.err());
  assert.match(running.err(), /xim chaos: interrupted\./);
  assert.equal(await suspended(), 0);
});

async function suspended(): Promise<number> {
  const words = ['agents', 'list', '--state', 'suspended', '-o', 'json'];
  return (JSON.parse(await runXim(stage.running, words)) as { data: object[] }).data.length;
}
