/** Clients that leave, in each phase: what the agent is told, and when its slot is free. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  answers,
  saysNothing,
  stalls,
  type FakeRequest,
  type Script,
} from '../testing/links/fakeAgent.ts';
import { auditedHarness } from '../testing/router/auditedHarness.ts';
import { settle, until } from '../testing/router/routerHarness.ts';

const harness = auditedHarness();

/** Begins an answer in one piece and never ends it. */
const halfAnswered: Script = (request) => {
  request.stream.head({ status: 200, contentType: 'application/json' });
  request.stream.write(Buffer.from('{"choices":'));
};

const running: { phase: string; script: Script; stream: boolean; begun: boolean }[] = [
  { phase: 'waiting for the first byte', script: saysNothing, stream: true, begun: false },
  { phase: 'streaming', script: stalls('one', 'two'), stream: true, begun: true },
  { phase: 'not streaming', script: saysNothing, stream: false, begun: false },
  { phase: 'not streaming, half answered', script: halfAnswered, stream: false, begun: false },
];

for (const { phase, script, stream, begun } of running) {
  test(`an engine works on for a client that left while ${phase}`, async () => {
    const one = await harness();
    let reset: (() => void) | undefined;
    const { agent } = await one.agent({
      script: (request, self) => {
        // The engine needs a moment to stop: the slot is not free before.
        request.whenReset(() => (reset = (): void => request.stream.reset('cancelled')));
        return script(request, self);
      },
    });
    const { client, result } = one.submit({ stream });
    await until(() => agent.requests.length === 1 && (!begun || client.chunks.length > 0));
    const next = one.submit({ stream: false });
    await until(() => one.router.stats().waiting === 1);
    client.hangUp();
    await until(() => reset !== undefined);
    assert.equal(agent.requests[0]?.reset, 'cancelled');
    await settle();
    assert.equal(agent.requests.length, 1, 'the slot is held until the engine has stopped');
    agent.script = answers('{"ok":true}');
    reset?.();
    assert.equal((await next.result).outcome, 'completed');
    assert.equal((await result).outcome, 'client_closed');
  });
}

test('an engine hears of a request whose client left the queue', async () => {
  const one = await harness();
  const held: FakeRequest[] = [];
  const { agent } = await one.agent({ script: (request) => void held.push(request) });
  const first = one.submit();
  await until(() => held.length === 1);
  const queued = one.submit();
  await until(() => one.router.stats().waiting === 1);
  queued.client.hangUp();
  assert.equal((await queued.result).outcome, 'client_closed');
  assert.equal(one.router.stats().waiting, 0);
  first.client.hangUp();
  assert.equal((await first.result).outcome, 'client_closed');
  assert.equal(agent.requests.length, 1);
});
