/** `xim chaos` against a fleet of which each turn can be made to fail. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { sleep, systemClock } from '../../lib/clock.ts';
import {
  openStagingFleet,
  stagingAgent,
  type StagingFleet,
} from '../../testing/chaos/stagingFleet.ts';
import {
  openCliHarness,
  type CliHarness,
  type CliRun,
} from '../../testing/processes/cliHarness.ts';
import { serverCommands } from '../commands.ts';
import type { FleetFigures } from './fleetChaos.ts';

let cli: CliHarness;

before(async () => {
  cli = await openCliHarness(serverCommands, systemClock);
});
after(() => cli.close());

type More = Parameters<CliHarness['run']>[1];

function chaos(fleet: StagingFleet, more: More = {}): Promise<CliRun> {
  const file = path.join(cli.directory, 'staging.json');
  const { origin } = fleet;
  writeFileSync(file, JSON.stringify({ ...cli.credentials, server: origin }));
  const asked = ['--endpoint', 'chat', '--streams', '6', '--down', '1s', '--context', file];
  const env = { XIM_API_KEY: 'xim_default_a' };
  return cli.run(['chaos', origin, '--yes-this-is-staging', ...asked], { env, ...more });
}

const figuresOf = (run: CliRun): FleetFigures =>
  JSON.parse(run.out.trim().split('\n').at(-1) ?? '') as FleetFigures;

/** The note of the scenario that suspends all of them. */
const ofAll = /^suspending \S+, id-/;

const suspendedIn = ({ agents }: StagingFleet): string[] =>
  agents.filter(({ state }) => state === 'suspended').map(({ name }) => name);

test('how many streams met what was broken is not told', async (t) => {
  const fleet = await openStagingFleet([stagingAgent('one'), stagingAgent('two')]);
  t.after(() => fleet.close());
  const run = await chaos(fleet);
  assert.equal(run.code, 0, run.notes + run.out);
  const { scenarios } = figuresOf(run);
  assert.equal(scenarios.length, 4);
  for (const { scenario, met } of scenarios) {
    assert.ok(met > 0 && met <= 6, `${scenario}: ${met}`);
    assert.match(run.notes, new RegExp(`ok {3}${scenario}: .* ${met} met it`));
  }
});

test('a fleet passes of whose streams none met what was broken', async (t) => {
  const fleet = await openStagingFleet([stagingAgent('one'), stagingAgent('two')]);
  t.after(() => fleet.close());
  // Others of the project keep an agent busy; the streams are over, or the platform's own serve.
  fleet.words = 3;
  fleet.tickMs = 0;
  fleet.shared = true;
  const run = await chaos(fleet);
  const figures = figuresOf(run);
  assert.equal(run.code, 1);
  assert.deepEqual(
    figures.scenarios.map(({ passed, met }) => [passed, met]),
    [
      [false, 0],
      [false, 0],
      [false, 0],
      [false, 0],
    ],
  );
  for (const { scenario, why } of figures.scenarios) {
    assert.match(why ?? '', /^nobody met it: /);
    assert.ok(run.notes.includes(`FAIL ${scenario}`), run.notes);
  }
  assert.match(run.notes, /by shared agents\. Ask an endpoint without fallback \(--endpoint\)/);
});

test('agents that do not serve the endpoint are suspended', async (t) => {
  const fleet = await openStagingFleet([
    stagingAgent('one'),
    stagingAgent('two'),
    stagingAgent('elsewhere', { bound_endpoint_ids: ['ep_2'], in_flight: 50 }),
    stagingAgent('slow', { effective_tiers: ['cpu_amd_consumer'], in_flight: 50 }),
  ]);
  t.after(() => fleet.close());
  const run = await chaos(fleet);
  assert.equal(run.code, 0, run.notes);
  const touched = new Set(fleet.commands.map((command) => command.split(' ')[1]));
  assert.deepEqual(touched, new Set(['one', 'two']));
});

test('a fleet is broken that nobody could take over from', async (t) => {
  const fleet = await openStagingFleet([
    stagingAgent('one'),
    stagingAgent('elsewhere', { bound_endpoint_ids: ['ep_2'] }),
  ]);
  t.after(() => fleet.close());
  const run = await chaos(fleet);
  assert.equal(run.code, 1);
  assert.match(run.notes, /fewer than two active agents of the project may serve chat/);
  assert.deepEqual(fleet.commands, []);
});

test('agents beyond the first page stay up while all are meant to be down', async (t) => {
  const agents = Array.from({ length: 502 }, (_, n) => stagingAgent(`a${n}`));
  const fleet = await openStagingFleet(agents);
  t.after(() => fleet.close());
  const run = await chaos(fleet);
  assert.equal(run.code, 0, run.notes);
  const suspended = fleet.commands.filter((command) => command.startsWith('suspend'));
  assert.equal(new Set(suspended).size, 502);
  assert.deepEqual(suspendedIn(fleet), []);
});

for (const mode of ['cut', 'drain', 'all'] as const) {
  test(`a Ctrl-C leaves agents suspended, or another thing begins (${mode})`, async (t) => {
    const fleet = await openStagingFleet([stagingAgent('one'), stagingAgent('two')]);
    t.after(() => fleet.close());
    const stop = new AbortController();
    const seen: string[] = [];
    const meant = mode === 'all' ? ofAll : new RegExp(`^suspending \\S+ \\(${mode}\\)`);
    fleet.words = 150;
    const run = await chaos(fleet, {
      stop: stop.signal,
      onNote(text) {
        seen.push(text);
        if (!meant.test(text)) return;
        // In the middle of it: the first agent is on its way to be stopped.
        const check = setInterval(() => {
          if (suspendedIn(fleet).length === 0) return;
          clearInterval(check);
          stop.abort();
        }, 1);
      },
    });
    assert.equal(run.code, 130, run.notes);
    assert.match(run.notes, /xim chaos: interrupted\./);
    assert.deepEqual(suspendedIn(fleet), []);
    assert.match(fleet.commands.at(-1) ?? '', /^resume/);
    assert.equal(seen.filter((text) => text.startsWith('suspending')).length, nth[mode]);
    assert.equal(run.out, '');
  });
}
const nth = { cut: 1, drain: 2, all: 3 };

test('an agent that cannot be resumed leaves the others suspended, or is not named', async (t) => {
  const fleet = await openStagingFleet(['one', 'two', 'three'].map((name) => stagingAgent(name)));
  t.after(() => fleet.close());
  let all = false;
  fleet.refuse = (command) => (all && command === 'resume one' ? 403 : undefined);
  const run = await chaos(fleet, {
    onNote: (text) => (all ||= ofAll.test(text)),
  });
  assert.equal(run.code, 7, run.notes);
  assert.deepEqual(suspendedIn(fleet), ['one']);
  assert.match(
    run.notes,
    /one may be left suspended \(no\)\. Resume it with: xim agents resume id-one --project def/,
  );
});

test('a resume that fails in passing leaves its agent suspended', async (t) => {
  const fleet = await openStagingFleet([stagingAgent('one'), stagingAgent('two')]);
  t.after(() => fleet.close());
  let failed = 0;
  fleet.refuse = (command) =>
    command.startsWith('resume') && failed < 2 ? ((failed += 1), 503) : undefined;
  const run = await chaos(fleet);
  assert.equal(run.code, 0, run.notes);
  assert.deepEqual(suspendedIn(fleet), []);
});

test('an agent is suspended behind its resume when another one could not be', async (t) => {
  const fleet = await openStagingFleet(['one', 'two', 'three'].map((name) => stagingAgent(name)));
  t.after(() => fleet.close());
  let all = false;
  fleet.refuse = (command) => {
    if (!all || !command.startsWith('suspend')) return undefined;
    if (command === 'suspend two') return 503;
    const late = sleep(systemClock, 100).then(() => undefined);
    onTheWay.push(late);
    return late;
  };
  const onTheWay: Promise<undefined>[] = [];
  const run = await chaos(fleet, {
    onNote: (text) => (all ||= ofAll.test(text)),
  });
  assert.equal(run.code, 7, run.notes);
  await Promise.all(onTheWay);
  await sleep(systemClock, 1);
  assert.deepEqual(suspendedIn(fleet), []);
});
