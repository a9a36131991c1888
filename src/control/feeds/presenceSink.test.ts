import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  enrolledAgent,
  openControlHarness,
  type ControlHarness,
} from '../../testing/http/controlHarness.ts';
import { longestDetail } from '../limits.ts';

let harness: ControlHarness;
before(async () => {
  harness = await openControlHarness();
});
after(() => harness.close());

test('words of an agent that a database refuses hold up the events of all agents', async () => {
  const { control, store, clock } = harness;
  const { agentId } = await enrolledAgent(harness);
  const tell = (detail: string): Promise<void> =>
    control.presenceSink.event({ agentId, atMs: clock.now(), kind: 'disconnected', detail });
  const newest = async (): Promise<string | undefined> =>
    (await store.agentEvents({ agentId: agentId, page: { after: null, limit: 1 } })).items[0]
      ?.detail;
  await tell('normal bye\0\u001b[2J\r\nfor\ud800good');
  assert.equal(await newest(), 'normal bye [2J for good');
  await tell(`${'x'.repeat(longestDetail - 1)}\u{1f600}`);
  assert.equal(await newest(), 'x'.repeat(longestDetail - 1), 'half a character');
});
