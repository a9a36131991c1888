/**
 * What must hold between processes: two control planes over one PostgreSQL, each with connections
 * of its own, asked at the same time.
 */
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import type { Control } from '../control.ts';
import {
  enrolledAgent,
  newTestAgent,
  openControlHarness,
  type ControlHarness,
} from '../../testing/http/controlHarness.ts';
import { newKeyPair } from '../../lib/crypto/ed25519.ts';
import { startPostgres } from '../../testing/database/postgres.ts';

type Servers = {
  kind: 'ready';
  harness: ControlHarness;
  controls: [Control, Control];
  stop: () => Promise<void>;
};

let servers: Servers | { kind: 'missing'; reason: string };
before(async () => {
  const postgres = await startPostgres();
  if (postgres.kind === 'missing') {
    servers = postgres;
    return;
  }
  const harness = await openControlHarness({}, { url: await postgres.createDatabase() });
  const controls: [Control, Control] = [harness.control, await harness.anotherServer()];
  const stop = async (): Promise<void> => {
    await harness.close();
    await postgres.stop();
  };
  servers = { kind: 'ready', harness, controls, stop };
});
after(async () => {
  if (servers.kind === 'ready') await servers.stop();
});

function ready(context: TestContext): Servers | undefined {
  if (servers.kind === 'ready') return servers;
  context.skip(servers.reason);
  return undefined;
}

/** The `index`-th of `count` callers alternates between the servers. */
function each<Result>(
  { controls }: Servers,
  count: number,
  call: (control: Control) => Promise<Result>,
): Promise<Result[]> {
  const calls = Array.from({ length: count }, (_, index) =>
    call(controls[index % 2 === 0 ? 0 : 1]),
  );
  return Promise.all(calls);
}

test('two servers take more enrolments from a join key than it has uses', async (context) => {
  const both = ready(context);
  if (both === undefined) return;
  const joinKey = await both.harness.joinKey({ maxUses: 5, name: 'rack' });
  const outcomes = await each(both, 24, (control) => newTestAgent(control).enroll({ joinKey }));
  const names = outcomes.flatMap((outcome) => (outcome.ok ? [outcome.agent.name] : []));
  assert.equal(names.length, 5);
  assert.equal(new Set(names).size, 5, 'and no name twice');
  const refusals = outcomes.flatMap((outcome) => (outcome.ok ? [] : [outcome.reason]));
  assert.deepEqual([...new Set(refusals)], ['join_key_used_up']);
});

test('an enrolment that is repeated at two servers makes two agents', async (context) => {
  const both = ready(context);
  if (both === undefined) return;
  const joinKey = await both.harness.joinKey();
  const pair = newKeyPair();
  const outcomes = await each(both, 8, (control) =>
    newTestAgent(control, { pair }).enroll({ joinKey }),
  );
  const ids = outcomes.flatMap((outcome) => (outcome.ok ? [outcome.agent.agentId] : []));
  assert.equal(new Set(ids).size, 1);
  const refusals = outcomes.flatMap((outcome) => (outcome.ok ? [] : [outcome.reason]));
  assert.deepEqual(
    refusals.filter((reason) => reason !== 'busy'),
    [],
  );
});

test('64 refreshes at two servers yield two successors', async (context) => {
  const both = ready(context);
  if (both === undefined) return;
  const pair = newKeyPair();
  const first = newTestAgent(both.controls[0], { pair });
  const enrolled = await first.enroll({ joinKey: await both.harness.joinKey() });
  assert.ok(enrolled.ok);
  const { agentId } = enrolled.agent;
  const { rotationToken } = enrolled.credentials;
  const outcomes = await each(both, 64, (control) =>
    newTestAgent(control, { pair }).refresh({ agentId, rotationToken }),
  );
  const successors = outcomes.map((one) => (one.ok ? one.credentials.rotationToken : one.reason));
  assert.equal(new Set(successors).size, 1);
  const next = await first.refresh({ agentId, rotationToken: successors[0] ?? '' });
  assert.ok(next.ok);
});

test('a token of one server is foreign to the other', async (context) => {
  const both = ready(context);
  if (both === undefined) return;
  const { agentId } = await enrolledAgent(both.harness);
  const keys = await Promise.all(
    both.controls.map(async ({ directoryFeed }) => (await directoryFeed.snapshot()).tokenKeys),
  );
  assert.deepEqual(keys[0], keys[1]);
  const [one, other] = await Promise.all(
    both.controls.map((control) => control.directoryFeed.snapshot()),
  );
  assert.ok(other?.agents.some(({ id }) => id === agentId));
  assert.equal(one?.revision, other?.revision);
});
