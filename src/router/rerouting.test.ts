/** Requests in the house when the directory says something new of their endpoint. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { endpointEntry, modelEntry, projectEntry } from '../testing/router/directoryEntries.ts';
import { saysNothing, streams } from '../testing/links/fakeAgent.ts';
import { RouterHarness, settle, until, type Submission } from '../testing/router/routerHarness.ts';

let one: RouterHarness;
afterEach(async () => {
  await until(() => one.router.audit().requests === 0 && one.router.audit().openAttempts === 0);
  await one.router.stop();
});

/** An own agent that is busy, a request that waits for it, and no shared agent yet. */
async function waitingForOwn(): Promise<[Submission, Submission]> {
  one = new RouterHarness();
  await one.router.start();
  await one.agent({ entry: { projectId: 'proj_a', name: 'own' }, script: saysNothing });
  const running = one.submit();
  const waiting = one.submit();
  await until(() => one.router.stats().waiting === 1);
  return [running, waiting];
}

async function letGo({ client, result }: Submission): Promise<void> {
  client.hangUp();
  await result;
}

test('a waiting request goes to a shared agent after its project has lost the access', async () => {
  const [running, waiting] = await waitingForOwn();
  const entry = projectEntry({ sharedAccess: false });
  one.ports.commit({ kind: 'project', id: entry.id, entry });
  await until(() => one.router.directory.project('proj_a')?.sharedAccess === false);
  await one.agent({ script: streams('shared') });
  await settle();
  assert.equal(one.router.stats().waiting, 1);
  one.ports.commit({ kind: 'project', id: entry.id, entry: projectEntry() });
  assert.equal((await waiting.result).outcome, 'completed');
  await letGo(running);
});

test('a waiting request goes to a shared agent whose model is approved no more', async () => {
  const [running, waiting] = await waitingForOwn();
  const entry = modelEntry({ projectId: 'proj_a', sha256: 'a'.repeat(64) });
  one.ports.commit({ kind: 'model', id: entry.id, entry });
  await until(() => one.router.directory.model(entry.id)?.projectId === 'proj_a');
  await one.agent({ script: streams('shared') });
  await settle();
  assert.equal(one.router.stats().waiting, 1);
  const approved = { ...entry, approvedForShared: true };
  one.ports.commit({ kind: 'model', id: entry.id, entry: approved });
  assert.equal((await waiting.result).outcome, 'completed');
  await letGo(running);
});

test('a waiting request does not see that its endpoint falls back from now on', async () => {
  one = new RouterHarness();
  await one.router.start();
  await one.agent({ entry: { projectId: 'proj_a', name: 'own' }, script: saysNothing });
  await one.agent({ script: streams('shared') });
  const endpoint = { fallback: { enabled: false, afterMs: 0, tier: null } };
  const [running, waiting] = [one.submit({}, { endpoint }), one.submit({}, { endpoint })];
  await until(() => one.router.stats().waiting === 1);
  one.ports.commit({ kind: 'endpoint', id: 'ep_a', entry: endpointEntry() });
  assert.equal((await waiting.result).outcome, 'completed');
  await letGo(running);
});
