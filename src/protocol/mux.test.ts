/** What both transports must do alike: the contract of a link. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  createLinkPair,
  endOf,
  memoryTransportPair,
  wsTransportPair,
} from '../testing/links/linkPair.ts';
import type { LinkPair } from '../testing/links/linkPair.ts';
import { Answer } from '../testing/links/linkPair.ts';
import type { GrantMessage } from './messages/agentControl.ts';
import type { ConfigMessage } from './messages/routerControl.ts';

const head = { status: 200, contentType: 'text/event-stream' };
const transports = { memory: memoryTransportPair, websocket: wsTransportPair };

for (const [name, connect] of Object.entries(transports)) {
  const linked = (what: string, body: (pair: LinkPair) => Promise<void>): void => {
    void test(what, async () => {
      const pair = await createLinkPair({ transports: await connect() });
      try {
        await body(pair);
      } finally {
        pair.router.close('shutting_down');
        pair.agent.close('shutting_down');
        await pair.transports.dispose();
      }
    });
  };

  void describe(`link over ${name}`, () => {
    linked('a request goes out and its answer comes back whole and once', async (pair) => {
      const answer = pair.open({ bodyBytes: 11 });
      answer.stream.write(Buffer.from('{"model":'));
      answer.stream.write(Buffer.from('1}'));
      answer.stream.end();
      await pair.until(() => pair.requests[0]?.ends.length === 1);
      const [request] = pair.requests;
      assert.ok(request);
      assert.equal(request.text, '{"model":1}');
      assert.deepEqual(request.ends, [undefined]);
      request.stream.head(head);
      for (const text of ['data: 1\n\n', 'data: 2\n\n']) request.stream.write(Buffer.from(text));
      request.stream.end(endOf());
      await pair.until(() => answer.ends.length === 1);
      assert.deepEqual(answer.heads, [head]);
      assert.equal(answer.text, 'data: 1\n\ndata: 2\n\n');
      assert.deepEqual(answer.ends, [endOf()]);
      assert.equal(pair.router.openStreams() + pair.agent.openStreams(), 0);
      assert.deepEqual(answer.resets, []);
    });

    linked('a body of many windows arrives as it was sent, in both directions', async (pair) => {
      const body = Buffer.alloc(5 * 2 ** 20, Buffer.from('0123456789abcdef-'));
      const answer = pair.open({ bodyBytes: body.length });
      assert.equal(answer.stream.write(body), false);
      answer.stream.end();
      await pair.until(() => pair.requests[0]?.ends.length === 1);
      const [request] = pair.requests;
      assert.ok(request && Buffer.concat(request.chunks).equals(body));
      request.stream.head(head);
      for (let at = 0; at < body.length; at += 40_000) {
        const before = request.writable;
        if (request.stream.write(body.subarray(at, at + 40_000))) continue;
        await pair.until(() => request.writable > before);
      }
      request.stream.end(endOf());
      await pair.until(() => answer.ends.length === 1);
      assert.ok(Buffer.concat(answer.chunks).equals(body));
    });

    linked('a slow consumer stalls its own stream and no other', async (pair) => {
      const slow = new Answer();
      slow.reading = false;
      pair.open({ requestId: 'slow' }, slow);
      const quick = pair.open({ requestId: 'quick' });
      await pair.until(() => pair.requests.length === 2);
      const [slowly, quickly] = pair.requests;
      assert.ok(slowly && quickly);
      slowly.stream.head(head);
      quickly.stream.head(head);
      const chunk = Buffer.alloc(16 * 1024, 's');
      let written = 0;
      while (slowly.stream.write(chunk) || (await settles(() => slowly.writable > 0, pair))) {
        slowly.writable = 0;
        written += chunk.length;
        assert.ok(written <= 2 ** 20, 'the sender was never held up');
      }
      const window = 256 * 1024;
      assert.equal(slow.bytes, window, 'exactly the credit is under way');
      quickly.stream.write(Buffer.alloc(3 * window, 'q'));
      quickly.stream.end(endOf({ requestId: 'quick' }));
      await pair.until(() => quick.ends.length === 1);
      assert.equal(quick.bytes, 3 * window);
      assert.equal(slow.bytes, window);
      slow.stream?.consumed(window);
      await pair.until(() => slowly.writable > 0);
      slowly.stream.end(endOf({ requestId: 'slow' }));
      slow.reading = true;
      await pair.until(() => slow.ends.length === 1);
      assert.equal(slow.bytes % chunk.length, 0);
    });

    linked('a cancel reaches the agent, and the slot is held until it confirms', async (pair) => {
      const answer = pair.open();
      await pair.until(() => pair.requests.length === 1);
      const [request] = pair.requests;
      assert.ok(request);
      request.stream.head(head);
      request.stream.write(Buffer.from('data: 1\n\n'));
      await pair.until(() => answer.chunks.length === 1);
      answer.stream.reset('cancelled', 'client left');
      answer.stream.reset('cancelled', 'again');
      await pair.until(() => request.resets.length === 1);
      assert.deepEqual(request.resets, [{ code: 'cancelled', detail: 'client left' }]);
      assert.equal(request.stream.write(Buffer.from('late')), true);
      assert.equal(pair.router.openStreams(), 1);
      assert.deepEqual(answer.confirmed, []);
      request.stream.end(endOf({ outcome: 'cancelled' }));
      request.stream.end(endOf());
      await pair.until(() => answer.confirmed.length === 1);
      assert.deepEqual(answer.confirmed, [endOf({ outcome: 'cancelled' })]);
      assert.equal(pair.router.openStreams() + pair.agent.openStreams(), 0);
      assert.deepEqual([answer.ends, answer.resets, answer.text], [[], [], 'data: 1\n\n']);
    });

    linked('a cancel that crosses the end of the answer is one end', async (pair) => {
      const answer = pair.open();
      await pair.until(() => pair.requests.length === 1);
      pair.requests[0]?.stream.head(head);
      pair.requests[0]?.stream.end(endOf());
      answer.stream.reset('cancelled');
      await pair.until(() => answer.confirmed.length === 1);
      assert.deepEqual([answer.confirmed, answer.ends], [[endOf()], []]);
      await roundTrip(pair);
      assert.deepEqual([pair.routerClosed, pair.agentClosed], [[], []]);
    });

    linked('a refused request tells why and forgives the body under way', async (pair) => {
      const answer = pair.open({ bodyBytes: 900_000 });
      answer.stream.write(Buffer.alloc(900_000));
      await pair.until(() => pair.requests.length === 1);
      pair.requests[0]?.stream.reset('not_granted', 'no slot');
      answer.stream.end();
      await pair.until(() => answer.resets.length === 1);
      assert.deepEqual(answer.resets, [{ code: 'not_granted', detail: 'no slot' }]);
      await roundTrip(pair);
      assert.deepEqual([pair.routerClosed, pair.agentClosed], [[], []]);
      assert.equal(pair.router.openStreams() + pair.agent.openStreams(), 0);
    });

    linked('control messages arrive in order, also those of many frames', async (pair) => {
      const models = Array.from({ length: 64 }, (_, n) => modelOf(n));
      const config = { models, maxConcurrentRequests: 0, storageLimitBytes: null };
      pair.router.send({ type: 'config', ...config });
      pair.router.send({ type: 'ack', requestIds: ['req_1'] });
      await pair.until(() => pair.agentControl.length === 4);
      assert.deepEqual(pair.agentControl[2], { type: 'config', ...config });
      pair.agent.send(grant);
      pair.agent.send({ type: 'trailers', ends: [endOf()] });
      await pair.until(() => pair.routerControl.length === 3);
      assert.deepEqual(pair.routerControl.slice(1), [grant, { type: 'trailers', ends: [endOf()] }]);
    });

    linked('a cut ends the link first and then each stream, once, at both ends', async (pair) => {
      const order: string[] = [];
      const answer = pair.open();
      const cancelled = pair.open({ requestId: 'req_2' });
      answer.onReset = (code) => void order.push(`${code} after ${pair.routerClosed.length} close`);
      await pair.until(() => pair.requests.length === 2);
      cancelled.stream.reset('cancelled');
      pair.transports.cut();
      await pair.until(() => order.length === 1 && pair.agentClosed.length === 1);
      assert.deepEqual(order, ['link_closed after 1 close']);
      assert.deepEqual(cancelled.confirmed, [undefined]);
      assert.equal(pair.requests[0]?.resets[0]?.code, 'link_closed');
      const late = pair.open();
      await pair.until(() => late.resets.length === 1);
      assert.equal(late.resets[0]?.code, 'link_closed');
    });

    linked('a link that is closed with a reason says it at the other end', async (pair) => {
      pair.router.send({ type: 'goaway', reason: 'suspended' });
      pair.router.close('suspended', 'stopped by its owner');
      await pair.until(() => pair.agentClosed.length === 1);
      assert.deepEqual(pair.agentControl.at(-1), { type: 'goaway', reason: 'suspended' });
      const detail = 'stopped by its owner';
      assert.deepEqual(pair.agentClosed, [{ reason: 'suspended', detail, by: 'peer' }]);
      assert.deepEqual(pair.routerClosed, [{ reason: 'suspended', detail, by: 'us' }]);
    });

    linked('both ends measure the round trip', async (pair) => {
      await pair.until(() => pair.router.rttMs() !== undefined && pair.agent.rttMs() !== undefined);
      assert.ok((pair.router.rttMs() ?? -1) >= 0 && (pair.agent.rttMs() ?? -1) >= 0);
    });
  });
}

const grant: GrantMessage = {
  type: 'grant',
  instances: [
    { instance: 'e1', modelId: 'mdl_1', slots: 4, engine: 'embedded', abilities: ['chat'] },
  ],
};

function modelOf(n: number): ConfigMessage['models'][number] {
  return {
    modelId: `mdl_${n}`,
    name: `model ${n}`,
    source: `https://example.org/${'x'.repeat(1800)}`,
    format: 'gguf',
    task: 'generate',
    sizeBytes: n,
    sha256: null,
    contextLength: null,
  };
}

/** Whether `condition` comes true while everything that is under way settles. */
async function settles(condition: () => boolean, pair: LinkPair): Promise<boolean> {
  for (let n = 0; n < 3 && !condition(); n += 1) await roundTrip(pair);
  return condition();
}

/** A control message each way: what was sent before it has been read. */
async function roundTrip(pair: LinkPair): Promise<void> {
  const atAgent = pair.agentControl.length;
  const atRouter = pair.routerControl.length;
  pair.router.send({ type: 'ack', requestIds: [] });
  await pair.until(() => pair.agentControl.length > atAgent || pair.agentClosed.length > 0);
  pair.agent.send({ type: 'trailers', ends: [] });
  await pair.until(() => pair.routerControl.length > atRouter || pair.routerClosed.length > 0);
}
