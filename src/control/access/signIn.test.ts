import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ClockJumps } from '../../lib/process/clockJumps.ts';
import { openControlHarness, type ControlHarness } from '../../testing/http/controlHarness.ts';
import { sessionLifetimeMs, signInFailuresPerAddress } from '../limits.ts';

let harness: ControlHarness;
before(async () => {
  harness = await openControlHarness();
});
after(() => harness.close());

async function signIn(password = harness.credentials.admin.password, address = '192.0.2.1') {
  return harness.control.signIn({ email: ' Admin@Localhost ', password, address });
}

test('a good password does not open the dashboard', async () => {
  const outcome = await signIn();
  assert.ok(outcome.ok);
  assert.equal(outcome.session.mustChangePassword, false);
  const session = await harness.control.session(outcome.token);
  assert.deepEqual(session, outcome.session);
  const { principal } = session;
  assert.deepEqual([principal.kind, principal.role], ['user', 'admin']);
});

test('a wrong password and an unknown account can be told apart', async () => {
  const wrong = await signIn('wrong', '192.0.2.2');
  const unknown = await harness.control.signIn({
    email: 'nobody@localhost',
    password: 'wrong',
    address: '192.0.2.2',
  });
  assert.deepEqual(wrong, { ok: false, reason: 'invalid_credentials' });
  assert.deepEqual(unknown, wrong);
});

test('a session outlives its sign-out or its 12 hours', async () => {
  const { control, clock } = harness;
  const [first, second] = [await signIn(), await signIn()];
  assert.ok(first.ok && second.ok);
  assert.notEqual(first.token, second.token);
  await control.signOut(first.token);
  await control.signOut(first.token);
  assert.equal(await control.session(first.token), null);
  clock.advance(sessionLifetimeMs - 1);
  assert.notEqual(await control.session(second.token), null);
  clock.advance(1);
  assert.equal(await control.session(second.token), null);
  await control.sweep({ linkedAgentIds: [], jumps: new ClockJumps(clock) });
});

test('something that is no token reaches the database as one', async () => {
  for (const token of ['', 'x', 'a'.repeat(100_000), '\u0000', 'A'.repeat(42)]) {
    assert.equal(await harness.control.session(token), null);
  }
});

test('a password can be guessed without end, many guesses at once included', async () => {
  const guesses = signInFailuresPerAddress.burst + 6;
  const address = '192.0.2.66';
  const outcomes = await Promise.all(
    Array.from({ length: guesses }, (_, guess) => signIn(`guess ${guess}`, address)),
  );
  const limited = outcomes.filter((one) => !one.ok && one.reason === 'too_many_attempts');
  assert.equal(limited.length, 6);
  const right = await signIn(undefined, address);
  assert.ok(!right.ok && right.reason === 'too_many_attempts');
  assert.ok(right.retryAfterMs > 0 && right.retryAfterMs <= signInFailuresPerAddress.refillMs);
  assert.ok((await signIn(undefined, '192.0.2.67')).ok, 'the owner elsewhere is not locked out');
  harness.clock.advance(right.retryAfterMs);
  assert.ok((await signIn(undefined, address)).ok);
});
