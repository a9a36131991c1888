import assert from 'node:assert/strict';
import { test } from 'node:test';
import { longestName, nameAttempts, namesAtOnce } from '../limits.ts';
import { freeName, wishedName } from './agentName.ts';

const workerId = 'wrk_0123456789abcdefghjkmnpqrs';

test('the wrong wish wins', () => {
  const wishes = { given: 'given', joinKey: 'key', hostname: 'host' };
  assert.equal(wishedName(wishes), 'given');
  assert.equal(wishedName({ ...wishes, given: ' \n ' }), 'key');
  assert.equal(wishedName({ ...wishes, given: undefined, joinKey: '' }), 'host');
  assert.equal(wishedName({ given: undefined, joinKey: '', hostname: '' }), 'agent');
});

test('a name breaks a header, a log line or a table', async () => {
  const wish = { given: `a\r\nb\u0000c ${'😀'.repeat(60)}`, joinKey: '', hostname: '' };
  const name = wishedName(wish);
  assert.ok(name.startsWith('a b c '));
  assert.ok(name.length <= longestName);
  assert.ok(name.isWellFormed());
  const suffixed = await named(name, [name]);
  assert.ok(suffixed.length <= longestName && suffixed.isWellFormed());
});

/** The name that is found, and how often somebody was asked. */
async function search(wish: string, taken: Iterable<string>): Promise<[string, number]> {
  const all = new Set(taken);
  let asked = 0;
  const takenOf = (names: readonly string[]): Promise<string[]> => {
    asked += 1;
    assert.ok(names.length <= namesAtOnce);
    return Promise.resolve(names.filter((name) => all.has(name)));
  };
  return [await freeName({ wish, takenOf, workerId, attempt: 0 }), asked];
}

const named = async (wish: string, taken: Iterable<string>): Promise<string> =>
  (await search(wish, taken))[0];

test('two agents of one owner get one name', async () => {
  const taken = ['box', 'box-2', 'box-4', 'other'];
  assert.equal(await named('box', taken), 'box-3');
  assert.equal(await named('new', taken), 'new');
});

test('an agent is compared with a whole fleet of its name, or named as another', async () => {
  for (const count of [31, 32, 33, 64, 65, 1_000, 20_000]) {
    const fleet = Array.from({ length: count }, (_none, at) =>
      at === 0 ? 'box' : `box-${at + 1}`,
    );
    const [name, asked] = await search('box', fleet);
    assert.equal(name, `box-${count + 1}`);
    assert.ok(asked <= 6, `asked ${asked} times`);
  }
  const takenOf = (names: readonly string[]): Promise<string[]> => Promise.resolve([...names]);
  const last = await freeName({ wish: 'box', takenOf, workerId, attempt: 0 });
  assert.equal(last, `box-${workerId.slice(-8)}`);
});

test('somebody who is always quicker keeps an agent from enrolling', async () => {
  const takenOf = (): Promise<string[]> => Promise.resolve([]);
  const name = await freeName({ wish: 'box', takenOf, workerId, attempt: nameAttempts });
  assert.equal(name, `box-${workerId.slice(-8)}`);
});
