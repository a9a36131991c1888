/** Projects that stop and begin again, or whose requests fail: how much each is served. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Contest, type Client, type Machine } from '../../testing/router/contest.ts';

/** What each of them is charged for, after they have run for a while. */
function charges(
  machines: readonly Machine[],
  clients: Record<string, Client>,
): { charged: Record<string, number>; bound: number; contest: Contest } {
  const contest = new Contest(machines, clients);
  contest.run(10);
  const got = Object.entries(contest.share(120));
  const charged = Object.fromEntries(got.map(([name, one]) => [name, one.charged]));
  return { charged, bound: contest.bound(), contest };
}

/** S4, for those that always have somebody waiting: at the beginning and at the end of a time. */
function assertWithinS4(machines: readonly Machine[], clients: Record<string, Client>): Contest {
  const { charged, bound, contest } = charges(machines, clients);
  const values = Object.values(charged);
  const gap = Math.max(...values) - Math.min(...values);
  const what = `${JSON.stringify(charged)}: not within ${2 * bound}`;
  assert.ok(Math.min(...values) > 0 && gap <= 2 * bound, what);
  return contest;
}

for (const fails of ['busy', 'bad'] as const) {
  test(`a project whose own agents fail all it sends (${fails}) goes before the others`, () => {
    for (const slots of [1, 3]) {
      for (const count of [1, 2]) {
        const own = { projectId: 'a', slots: 64, fails };
        const machines = [{ slots }, ...Array.from({ length: count }, () => own)];
        const other = { outstanding: 8 };
        const contest = assertWithinS4(machines, {
          a: { projectId: 'a', outstanding: 8 },
          b: { projectId: 'b', ...other },
          c: { projectId: 'c', tokens: 300, ...other },
          // It has half the weight: half as much is served to it.
          d: { projectId: 'd', tier: 'free', ...other },
        });
        assert.equal(contest.got['a']?.refused, 0, 'the oldest of its retries waited too long');
      }
    }
  });
}

test('an own agent that fails all it is given is asked without end', () => {
  for (const fails of ['busy', 'bad'] as const) {
    const own = Array.from({ length: 8 }, () => ({ projectId: 'a', slots: 8, fails }));
    const contest = new Contest([{ slots: 2 }, ...own], { a: { projectId: 'a', outstanding: 20 } });
    contest.run(20);
    const { served, refused, dispatched } = contest.got['a'] ?? assert.fail();
    const ended = served + refused + 20;
    assert.ok(dispatched <= 5 * ended, `${dispatched} for ${ended}`);
  }
});
