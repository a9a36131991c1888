import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Access } from '../methods/method.ts';
import { postgresUpkeepConnections, postgresWriteConnections } from '../limits.ts';
import { ConnectionShares } from './connectionShares.ts';

/** Calls that hold their connection until they are told to end. */
function holdOn(shares: ConnectionShares): {
  start: (access: Access) => void;
  running: Access[];
  endOne: () => Promise<void>;
} {
  const running: Access[] = [];
  const ends: (() => void)[] = [];
  const turns = async (): Promise<void> => {
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  };
  return {
    running,
    start: (access) =>
      void shares.run(access, () => {
        running.push(access);
        return new Promise<void>((resolve) => ends.push(resolve));
      }),
    async endOne() {
      running.shift();
      ends.shift()?.();
      await turns();
    },
  };
}

void test('slow writes hold every connection, and nobody can read', async () => {
  const { start, running, endOne } = holdOn(new ConnectionShares());
  for (let call = 0; call < 3 * postgresWriteConnections; call += 1) start('write');
  assert.equal(running.length, postgresWriteConnections);
  start('read');
  assert.equal(running.length, postgresWriteConnections + 1);
  for (let call = 0; call < 3 * postgresWriteConnections + 1; call += 1) await endOne();
  assert.equal(running.length, 0, 'a place was lost');
});

void test('upkeep takes the places of those that somebody waits for', async () => {
  const { start, running, endOne } = holdOn(new ConnectionShares());
  for (let call = 0; call < 10; call += 1) start('upkeep');
  await Promise.resolve();
  await Promise.resolve();
  assert.equal(running.length, postgresUpkeepConnections);
  start('change');
  assert.equal(running.at(-1), 'change');
  await endOne();
  assert.equal(running.filter((access) => access === 'upkeep').length, postgresUpkeepConnections);
});
