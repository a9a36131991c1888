import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../lib/random.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import type { TokenKeeper, TokenOutcome } from '../joining/tokens.ts';
import { linkHeldMs, reconnectFirstMs, suspendedHoldMs } from '../limits.ts';
import type { LinkEnd, LinkSession } from './link.ts';
import { Supervisor } from './supervisor.ts';

interface Bench {
  clock: FakeClock;
  waits: { why: string; delayMs: number }[];
  rejected: string[];
  supervisor: Supervisor;
  ended: ReturnType<Supervisor['run']>;
}

/** A supervisor over scripted tokens and links; every link holds for `heldMs` of the fake clock. */
function bench(script: {
  tokens?: TokenOutcome[];
  links?: LinkEnd[];
  after?: TokenOutcome;
}): Bench {
  const clock = new FakeClock();
  const waits: Bench['waits'] = [];
  const rejected: string[] = [];
  const good: TokenOutcome = { kind: 'token', accessToken: 'token' };
  const tokens = {
    onToken: undefined,
    obtain: () => Promise.resolve(script.tokens?.shift() ?? good),
    reject: (token: string) => rejected.push(token),
    keepFresh: () => Promise.resolve(undefined),
  };
  const supervisor = new Supervisor({
    tokens: tokens as unknown as TokenKeeper,
    newSession: () => {
      const end = script.links?.shift() ?? closed({ reason: 'fenced' });
      const session = { run: () => Promise.resolve(end), drain: () => {}, sendToken: () => {} };
      return session as unknown as LinkSession;
    },
    clock,
    random: seededRandom(7),
    onWaiting: ({ why, delayMs }) => waits.push({ why, delayMs }),
  });
  return {
    clock,
    waits,
    rejected,
    supervisor,
    ended: supervisor.run(new AbortController().signal),
  };
}

function closed(end: Partial<Extract<LinkEnd, { kind: 'closed' }>>): LinkEnd {
  const rest = { detail: '', by: 'peer', heldMs: 0, goaway: undefined } as const;
  return { kind: 'closed', reason: 'transport_error', ...rest, ...end };
}

const unreachable: LinkEnd = { kind: 'not_connected', message: 'no', permanent: false };

test('a thousand agents come back in step, or ever faster', async () => {
  const { clock, waits, ended } = bench({ links: Array.from({ length: 12 }, () => unreachable) });
  await clock.advanceAsync(400_000);
  assert.equal((await ended).kind, 'fenced');
  assert.equal(waits.length, 12);
  for (const [n, { delayMs }] of waits.entries()) {
    assert.ok(delayMs >= 500 && delayMs <= Math.min(30_000, 500 * 2 ** (n + 1)), String(delayMs));
  }
  assert.ok(new Set(waits.slice(6).map(({ delayMs }) => delayMs)).size > 1, 'no jitter');
  assert.ok(
    waits.slice(6).some(({ delayMs }) => delayMs > 5_000),
    'no back-off',
  );
});

test('a link that dies at once counts as one that held', async () => {
  const links = Array.from({ length: 8 }, () => closed({ heldMs: 1_000 }));
  const { clock, waits, ended } = bench({ links: [...links, closed({ heldMs: linkHeldMs })] });
  await clock.advanceAsync(400_000);
  await ended;
  assert.ok(waits.slice(4, 8).some(({ delayMs }) => delayMs > 2_000));
  assert.ok(
    (waits[8]?.delayMs ?? Infinity) <= 1_000,
    'a link that held did not reset the back-off',
  );
});

const suspended = (heldMs: number): TokenOutcome => {
  return { kind: 'suspended', message: 'stopped by the owner', heldMs };
};

test('a suspended agent stops trying, or hammers the server', async () => {
  const { clock, waits, rejected, ended } = bench({
    tokens: [suspended(0), suspended(0)],
    links: [closed({ reason: 'going_away', goaway: 'suspended' })],
  });
  await clock.advanceAsync(10 * suspendedHoldMs);
  await ended;
  assert.deepEqual(
    waits.map(({ why }) => why),
    ['suspended', 'suspended', 'suspended'],
  );
  assert.ok(waits.slice(0, 2).every(({ delayMs }) => delayMs >= suspendedHoldMs / 2));
  assert.deepEqual(rejected, ['token'], 'the next link must begin with a refresh');
});

test('an agent that was resumed notices it ten seconds later', async () => {
  const { clock, waits, ended } = bench({
    links: [closed({ reason: 'going_away', goaway: 'suspended', heldMs: linkHeldMs })],
    tokens: [
      { kind: 'token', accessToken: 'token' },
      suspended(suspendedHoldMs),
      suspended(suspendedHoldMs),
    ],
  });
  await clock.advanceAsync(10 * suspendedHoldMs);
  await ended;
  assert.equal(waits.length, 3);
  assert.ok((waits[0]?.delayMs ?? Infinity) <= 2 * reconnectFirstMs, 'its link has just closed');
  assert.ok(
    waits.slice(1).every(({ delayMs }) => delayMs <= reconnectFirstMs),
    'the server holds its answers',
  );
});

test('two links that are closed for a suspension at once are dialled ever faster', async () => {
  const refused = closed({ reason: 'suspended', heldMs: 0 });
  const { clock, waits, ended } = bench({ links: Array.from({ length: 8 }, () => refused) });
  await clock.advanceAsync(400_000);
  await ended;
  assert.ok(waits.slice(4).some(({ delayMs }) => delayMs > 2_000));
});

test('a removed agent goes on trying', async () => {
  const { ended } = bench({ links: [closed({ reason: 'going_away', goaway: 'dead' })] });
  assert.equal((await ended).kind, 'dead');
  const refused = bench({ tokens: [{ kind: 'dead', message: 'gone' }] });
  assert.deepEqual(await refused.ended, { kind: 'dead', message: 'gone' });
});

test('a refused token is kept, or one that only lost its link is thrown away', async () => {
  const { clock, rejected, ended } = bench({
    links: [
      closed({ reason: 'unauthorized' }),
      closed({ reason: 'going_away', goaway: 'token_expired' }),
      closed({ reason: 'silent' }),
    ],
  });
  await clock.advanceAsync(200_000);
  await ended;
  assert.equal(rejected.length, 2);
});

test('a server that asks for a pause is not given it', async () => {
  const busy: TokenOutcome = { kind: 'unavailable', message: 'busy', retryAfterMs: 20_000 };
  const { clock, waits, ended } = bench({ tokens: [busy] });
  await clock.advanceAsync(30_000);
  await ended;
  assert.ok((waits[0]?.delayMs ?? 0) >= 20_000);
});

test('a drain waits for the next attempt', async () => {
  const { clock, supervisor, ended } = bench({ links: [unreachable] });
  await clock.advanceAsync(0);
  supervisor.drain();
  assert.deepEqual(await ended, { kind: 'stopped' });
});
