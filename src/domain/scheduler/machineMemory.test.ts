/** What the scheduler foresees of machines that restart, lie, or belong to somebody else. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { seededRandom } from '../../lib/random.ts';
import {
  agentEntry,
  endpointEntry,
  projectEntry,
  routedRequest,
} from '../../testing/router/directoryEntries.ts';
import { unlimitedTiers } from '../../testing/router/unlimitedTiers.ts';
import { Scheduler } from './scheduler.ts';
import type { Dispatch, SchedulerEvent, UntimedEvent } from './schedulerEvents.ts';
import type { GrantedInstance } from './instancePools.ts';

function rig() {
  const scheduler = new Scheduler({ random: seededRandom(1), config: { tiers: unlimitedTiers() } });
  let nowMs = 1000;
  const send = (event: UntimedEvent) =>
    scheduler.handle({ ...event, atMs: nowMs } as SchedulerEvent);
  const grant = (agentId: string, names: string[], more: Partial<GrantedInstance> = {}): void => {
    const one = { modelId: 'model_a', slots: 4, abilities: [], ...more };
    const instances = names.map((instance) => ({ ...one, instance }));
    send({ type: 'grant', agentId, nonce: 'n', instances });
  };
  /** Of a shared agent, or of a project's own. */
  const link = (agentId: string, projectId: string | null = null): void => {
    send({ type: 'agent', entry: agentEntry({ id: agentId, projectId }) });
    send({ type: 'join', agentId, nonce: 'n' });
  };
  const cut = (agentId: string): void => void send({ type: 'leave', agentId, nonce: 'n' });
  let asked = 0;
  const ask = (projectId = 'proj_a', afterMs = 10_000): Dispatch => {
    nowMs += afterMs;
    const endpoint = endpointEntry({ id: `ep_${projectId}`, projectId });
    const project = projectEntry({ id: projectId });
    const of = { id: `r${(asked += 1)}`, endpoint, project, bodyBytes: 4000 };
    const [command] = send({ type: 'arrive', request: routedRequest(of) });
    assert.equal(command?.type, 'dispatch');
    return command;
  };
  const answer = ({ claim }: Dispatch, ms: number): void => {
    nowMs += ms;
    send({ type: 'first_byte', claim });
    nowMs += 500;
    const usage = { input: 1000, output: 20 };
    send({ type: 'end', claim, slotFree: true, health: 'good', usage });
  };
  const serve = (times: number, ms: number, projectId?: string): void => {
    for (let n = 0; n < times; n += 1) answer(ask(projectId), ms);
  };
  /** In ms; null: nothing is. */
  const foreseen = (projectId?: string): number | null => {
    const command = ask(projectId);
    send({ type: 'end', claim: command.claim, slotFree: true });
    const { predicted } = command;
    return predicted === null ? null : Math.round(predicted.ttftMs / 100) * 100;
  };
  return { scheduler, send, grant, link, cut, ask, answer, serve, foreseen };
}

test('a slow machine is as fast as its kind once its process or engine restarted', () => {
  const { send, grant, link, cut, serve, foreseen } = rig();
  link('slow');
  grant('slow', ['first']);
  serve(60, 3000);
  cut('slow');
  link('fast');
  grant('fast', ['other']);
  serve(200, 200);
  cut('fast');
  send({ type: 'join', agentId: 'slow', nonce: 'n' });
  grant('slow', ['process restarted']);
  assert.equal(foreseen(), 3000);
  grant('slow', ['engine restarted']);
  assert.equal(foreseen(), 3000);
});

test('an engine that is granted again learns together with the one that took its place', () => {
  const { grant, link, ask, answer, serve, foreseen } = rig();
  link('a');
  grant('a', ['first']);
  serve(20, 3000);
  const late = ask();
  grant('a', ['second']);
  assert.equal(foreseen(), 3000);
  grant('a', ['first', 'second'], { slots: 1 });
  answer(late, 3000);
  // Each has one of two, and one is much faster.
  for (let n = 0; n < 60; n += 1) {
    const both = [ask(), ask('proj_a', 0)];
    const [second, first] = ['second', 'first'].map((id) =>
      both.find((one) => one.instance === id),
    );
    assert.ok(first !== undefined && second !== undefined);
    answer(second, 200);
    answer(first, 2800);
  }
  const both = [ask(), ask('proj_a', 0)].map(({ predicted }) => predicted?.ttftMs ?? 0);
  assert.ok(Math.max(...both) > 5 * Math.min(...both), both.join());
});

test('restarts that are over are published as errors of who serves now', () => {
  const { scheduler, grant, link, cut, serve } = rig();
  for (let n = 0; n < 50; n += 1) {
    link(`${n}`);
    grant(`${n}`, ['i']);
    serve(1, 200);
    serve(1, 10);
    cut(`${n}`);
  }
  link('a');
  grant('a', ['i']);
  serve(600, 200);
  assert.ok((scheduler.learned().predictor?.mape ?? 1) < 0.05);
});

test('a project that answers slowly makes the machine of another one slow', () => {
  const { grant, link, cut, serve, foreseen } = rig();
  link('hostile', 'proj_h');
  grant('hostile', ['i']);
  serve(40, 60_000, 'proj_h');
  link('own', 'proj_a');
  grant('own', ['i'], { speed: { firstByteMs: 1000, perTokenMs: 0 } });
  assert.equal(foreseen(), 1000);
  cut('own');
  link('shared');
  grant('shared', ['i']);
  assert.equal(foreseen(), null);
});

test('an agent that grants engines that do not exist erases what was learned of the fleet', () => {
  const { scheduler, grant, link, cut, serve, foreseen } = rig();
  link('shared');
  grant('shared', ['i']);
  serve(60, 3000);
  link('hostile', 'proj_h');
  for (let n = 0; n < 260; n += 1) {
    const names = Array.from({ length: 64 }, (_, at) => `${n}-${at}`);
    grant('hostile', names, { modelId: `made up ${n}` });
  }
  assert.notEqual(scheduler.learned().predictor, null);
  cut('shared');
  link('shared');
  grant('shared', ['i']);
  assert.equal(foreseen(), 3000);
});
