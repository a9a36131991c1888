import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { RefreshAnswer } from '../../api/enrollment.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { seededRandom } from '../../lib/random.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import { longestServerPauseMs, shortestRefreshMs } from '../limits.ts';
import { createControlClient, type CallOutcome, type ControlClient } from './controlClient.ts';
import { newIdentity } from './identity.ts';
import type { AgentState, StateStore } from './stateFile.ts';
import { TokenKeeper } from './tokens.ts';
import { nonceAnswerSchema } from '../../api/enrollment.ts';

interface Rig {
  clock: FakeClock;
  tokens: TokenKeeper;
  /** When each refresh came, in ms of the clock. */
  asked: number[];
}

/** A keeper over a server that answers every refresh alike. */
function rig(answer: CallOutcome<RefreshAnswer>, seed = 1): Rig {
  const clock = new FakeClock();
  const asked: number[] = [];
  const client = {
    get: () => Promise.resolve({ kind: 'ok', answer: { nonce: 'n', expires_in: 60 } }),
    post: () => {
      asked.push(clock.monotonic());
      return Promise.resolve(answer);
    },
    close: () => Promise.resolve(),
  } as unknown as ControlClient;
  const identity = newIdentity();
  const tokens = new TokenKeeper({
    client,
    store: memoryStore(identity.secretPem()),
    identity,
    clock,
    random: seededRandom(seed),
    log: silentLogger,
  });
  return { clock, tokens, asked };
}

function memoryStore(privateKey: string): StateStore {
  const enrolment = {
    agentId: '7d1c3c9e-96c5-4b3e-9f6e-6c1f7a6b7d10',
    workerId: 'wrk_1',
    name: 'agent',
    region: 'here',
    linkUrl: 'v1/agents/link',
    rotationToken: 'xrt_1_x',
    joinKeyHash: '',
  };
  let state: AgentState = { version: 1, privateKey, server: null, enrolment };
  return {
    directory: '/nowhere',
    current: () => state,
    save(next) {
      state = next;
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
}

const fresh = (expiresIn: number): CallOutcome<RefreshAnswer> => ({
  kind: 'ok',
  answer: { access_token: 'a', expires_in: expiresIn, rotation_token: 'xrt_2_x' },
});

for (const expiresIn of [0, -3600, 0.001]) {
  test(`a server that gives tokens ${expiresIn} s of life is asked without a pause`, async () => {
    const { clock, tokens, asked } = rig(fresh(expiresIn));
    const stop = new AbortController();
    const kept = tokens.keepFresh(stop.signal);
    await clock.advanceAsync(10 * shortestRefreshMs);
    assert.ok(asked.length > 1 && asked.length <= 11, String(asked.length));
    stop.abort();
    assert.equal(await kept, undefined);
  });
}

test('a token that lives for years is never renewed, or at once', async () => {
  const { clock, tokens, asked } = rig(fresh(1e9));
  const stop = new AbortController();
  const kept = tokens.keepFresh(stop.signal);
  await clock.advanceAsync(86_400_000);
  assert.equal(asked.length, 1);
  stop.abort();
  await kept;
});

test('a rack that joined together refreshes together for ever, or later than it may', async () => {
  const all: number[] = [];
  for (let seed = 1; seed <= 20; seed += 1) {
    const { clock, tokens, asked } = rig(fresh(600), seed);
    const stop = new AbortController();
    const kept = tokens.keepFresh(stop.signal);
    // The first one at once; the second comes by the spread.
    await clock.advanceAsync(360_000);
    const [, second = Number.NaN] = asked;
    all.push(second - (asked[0] ?? 0));
    stop.abort();
    await kept;
  }
  assert.ok(
    all.every((ms) => ms >= 300_000 && ms <= 360_000),
    String(all),
  );
  assert.ok(Math.max(...all) - Math.min(...all) > 30_000, String(all));
});

test('a server that is busy is asked again before it said so', async () => {
  const busy = { kind: 'unavailable', permanent: false, message: 'busy' } as const;
  const { clock, tokens, asked } = rig({ ...busy, retryAfterMs: 40_000 });
  const stop = new AbortController();
  const kept = tokens.keepFresh(stop.signal);
  await clock.advanceAsync(39_999);
  assert.equal(asked.length, 1);
  await clock.advanceAsync(1_000);
  assert.equal(asked.length, 2);
  stop.abort();
  await kept;
});

test('whoever stands before the server sends the agent away for a day', async (t) => {
  const pauses = ['86400', '-5', 'Wed, 21 Oct 2026 07:28:00 GMT', '2'];
  const server = createServer((_request, response) => {
    response.writeHead(503, { 'retry-after': pauses.shift() }).end('<h1>Maintenance</h1>');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const base = `http://127.0.0.1:${port}`;
  const address = { base, host: `127.0.0.1:${port}`, pin: null };
  const client = createControlClient({ address, clock: systemClock });
  t.after(() => client.close());
  const seen: (number | undefined)[] = [];
  while (pauses.length > 0) {
    const { signal } = new AbortController();
    const outcome = await client.get({
      path: '/v1/enroll/nonce',
      schema: nonceAnswerSchema,
      signal,
    });
    assert.ok(outcome.kind === 'unavailable' && !outcome.permanent);
    seen.push(outcome.retryAfterMs);
  }
  assert.deepEqual(seen, [longestServerPauseMs, undefined, undefined, 2000]);
});
