import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTurns } from './turns.ts';

function gate() {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

test('two of one key run at once, or two of different keys wait for each other', async () => {
  const turns = createTurns({ waiting: 10 });
  const seen: string[] = [];
  const { opened, open } = gate();
  const first = turns.run('a', async () => {
    seen.push('a1 begins');
    await opened;
    seen.push('a1 ends');
  });
  const second = turns.run('a', async () => void seen.push('a2'));
  await turns.run('b', async () => void seen.push('b'));
  assert.deepEqual(seen, ['a1 begins', 'b']);
  open();
  await Promise.all([first, second]);
  assert.deepEqual(seen, ['a1 begins', 'b', 'a1 ends', 'a2']);
});

test('work that fails blocks those behind it', async () => {
  const turns = createTurns({ waiting: 10 });
  const failing = turns.run('a', () => Promise.reject(new Error('broken')));
  const next = turns.run('a', () => Promise.resolve('served'));
  await assert.rejects(failing, /broken/);
  assert.equal(await next, 'served');
});

test('the line grows without bound', async () => {
  const turns = createTurns({ waiting: 2 });
  const { opened, open } = gate();
  const inLine = [1, 2, 3].map((number) =>
    turns.run('a', async () => {
      await opened;
      return number;
    }),
  );
  assert.equal(await turns.run('a', () => Promise.resolve(4)), undefined);
  open();
  assert.deepEqual(await Promise.all(inLine), [1, 2, 3]);
  assert.equal(await turns.run('a', () => Promise.resolve(5)), 5);
});
