import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../lib/log.ts';
import { openControlHarness } from '../../testing/http/controlHarness.ts';
import { ownPasswordProofsPerAccount } from '../limits.ts';
import { createAttemptLimits } from './attemptLimits.ts';
import { createOwnPassword } from './ownPassword.ts';

test('one account that changes its password again and again keeps others out', async () => {
  const harness = await openControlHarness();
  const { control, credentials, clock, store } = harness;
  const { email, password } = credentials.admin;
  const opened = await control.signIn({ email, password, address: '192.0.2.1' });
  assert.ok(opened.ok);
  const { principal } = opened.session;
  let derived = 0;
  // As right and as quick as can be: what counts is how often they are asked.
  const passwords = {
    hash: (text: string) => Promise.resolve(`${(derived += 1)} ${text}`),
    verify: () => Promise.resolve('match' as const),
  };
  const limits = createAttemptLimits(clock);
  const own = createOwnPassword({ store, clock, log: silentLogger, passwords, limits });
  const caller = { principal, requestId: 'req_1', address: '192.0.2.1', claim: null };
  const sessionToken = opened.token;
  const change = () =>
    own.change({ caller, sessionToken, oldPassword: 'old', newPassword: 'correct horse battery' });
  const { burst, refillMs } = ownPasswordProofsPerAccount;
  for (let time = 0; time < burst; time += 1) assert.deepEqual(await change(), { ok: true });
  const refused = await change();
  assert.ok(!refused.ok && refused.reason === 'too_many_attempts');
  assert.ok(refused.retryAfterMs > 0 && refused.retryAfterMs <= refillMs);
  assert.equal(derived, burst, 'a refused change costs nothing');
  clock.advance(refillMs);
  assert.deepEqual(await change(), { ok: true });
  await harness.close();
});
