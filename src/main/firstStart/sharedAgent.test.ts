/** What the end-to-end tests do not reach: an agent that cannot even be started. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../lib/random.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import type { AgentWatchEvent } from '../agent/agentEvents.ts';
import { createSharedAgent } from './sharedAgent.ts';

test('a database that is away when the agent needs a join key, and ends the server', async () => {
  const clock = new FakeClock();
  const events: AgentWatchEvent[] = [];
  let asked = 0;
  const agent = createSharedAgent({
    args: [],
    joinKey: () => {
      asked += 1;
      return Promise.resolve({ kind: 'unavailable', why: 'database not reachable' });
    },
    onEvent: (event) => events.push(event),
    onLog: () => assert.fail('a process was started'),
    clock,
    random: seededRandom(1),
  });
  const running = agent.run();
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  await turn();
  const [event] = events;
  assert.ok(event?.kind === 'ended');
  assert.match(event.message, /has no join key \(database not reachable\); it is started again in/);
  clock.advance(60_000);
  await turn();
  assert.equal(asked, 2, 'it is asked again');
  await agent.stop();
  await running;
});
