import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../lib/log.ts';
import { agentEntry } from '../../testing/router/directoryEntries.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import type { Uptime } from '../ports.ts';
import { UptimeMeter } from './uptimeMeter.ts';

function rig() {
  const clock = new FakeClock();
  const told: Uptime[] = [];
  const store = { away: false };
  const meter = new UptimeMeter({
    clock,
    log: silentLogger,
    sink: {
      uptime: (batch) => {
        if (store.away) return Promise.reject(new Error('away'));
        told.push(...batch);
        return Promise.resolve();
      },
    },
    directory: {
      agent: (id) => agentEntry({ id, projectId: id.startsWith('shared') ? null : 'proj_a' }),
    },
  });
  meter.start();
  const length = (agentId = 'own'): number =>
    told
      .filter((one) => one.agentId === agentId)
      .reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0);
  return { clock, told, store, meter, length };
}

test('U1: a second link counts, or the time without one, or a shared agent', async () => {
  const { clock, meter, length } = rig();
  meter.note('own', true);
  meter.note('shared-1', true);
  await clock.advanceAsync(10_000);
  meter.note('own', true);
  await clock.advanceAsync(80_000);
  meter.note('own', false);
  await clock.advanceAsync(500_000);
  meter.note('own', true);
  await clock.advanceAsync(5_000);
  await meter.stop();
  assert.equal(length(), 95_000);
  assert.equal(length('shared-1'), 0);
});

test('spans of one link have gaps between them, or lie over one another', async () => {
  const { clock, meter, told } = rig();
  meter.note('own', true);
  await clock.advanceAsync(60_000.4 * 5);
  await meter.stop();
  for (const [at, span] of told.slice(1).entries()) assert.equal(span.fromMs, told[at]?.toMs);
});

test('a store that is away loses what it was not told, or gets it twice', async () => {
  const { clock, meter, store, told, length } = rig();
  meter.note('own', true);
  store.away = true;
  await clock.advanceAsync(600_000);
  assert.equal(told.length, 0);
  store.away = false;
  await clock.advanceAsync(60_000);
  await meter.stop();
  assert.equal(length(), 660_000);
});

test('U2: a clock that is set forward or back is charged', async () => {
  const { clock, meter, length } = rig();
  meter.note('own', true);
  await clock.advanceAsync(30_000);
  clock.jumpWall(3_600_000);
  await clock.advanceAsync(60_000);
  clock.jumpWall(-7_200_000);
  await clock.advanceAsync(60_000);
  await meter.stop();
  assert.equal(length(), 150_000);
});
