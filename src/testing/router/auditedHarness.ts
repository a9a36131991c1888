/** Routers for tests whose slots, requests and records are counted after each test. */
import assert from 'node:assert/strict';
import { afterEach } from 'node:test';
import { RouterHarness, until } from './routerHarness.ts';

type Options = ConstructorParameters<typeof RouterHarness>[0];

/** Makes started routers; R1 and R5 hold after each test of the file, whatever it did. */
export function auditedHarness(): (options?: Options) => Promise<RouterHarness> {
  const made: RouterHarness[] = [];
  afterEach(async () => {
    for (const { router, ports } of made.splice(0)) {
      await until(() => router.audit().requests === 0 && router.audit().openAttempts === 0);
      const { claims, inFlight, onLinks } = router.audit();
      assert.deepEqual({ claims, inFlight, onLinks }, { claims: 0, inFlight: 0, onLinks: 0 }, 'R1');
      await router.stop();
      const ids = ports.usageRecords.map((one) => one.requestId);
      assert.equal(new Set(ids).size, ids.length, 'R1: two records of one request');
      const ended = Object.values(router.stats().outcomes).reduce((sum, count) => sum + count, 0);
      assert.equal(ids.length, ended, 'R1: a request without its record');
    }
  });
  return async (options = {}) => {
    const one = new RouterHarness(options);
    made.push(one);
    await one.router.start();
    return one;
  };
}
