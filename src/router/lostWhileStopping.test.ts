/** Links that do not survive the orders to stop that go over them: whose slots are free then. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { continues } from '../testing/links/continuingAgent.ts';
import { saysNothing, stalls, streams, type Script } from '../testing/links/fakeAgent.ts';
import { FakeClock } from '../testing/fakeClock.ts';
import { auditedHarness } from '../testing/router/auditedHarness.ts';
import { bodyOf } from '../testing/router/resumedRequests.ts';
import { settle, until, type Submission } from '../testing/router/routerHarness.ts';
import { unlimitedTiers } from '../testing/router/unlimitedTiers.ts';
import type { RouterConfig } from './router.ts';

const harness = auditedHarness();
const requests = 80;
/** More than one OPEN or CONFIG, less than a RESET for each request: all go in one turn. */
const linkLimits = { maxQueuedControlBytes: 750 };
const concurrent = { concurrentPerProject: requests };
const limitMs = 5000;

interface Stop {
  when: string;
  config?: Partial<RouterConfig>;
  first: Script;
  second: Script;
  /** Clients leave; else time passes. */
  leaves?: boolean;
  outcomes: string[];
}

const stops: Stop[] = [
  {
    when: 'first bytes are late',
    config: { firstByteMs: limitMs },
    first: saysNothing,
    second: streams('x'),
    outcomes: ['completed'],
  },
  {
    when: 'streams have stalled',
    config: { stallMs: limitMs },
    first: continues({ chunks: 2, next: stalls() }),
    second: continues(),
    outcomes: ['completed'],
  },
  {
    when: 'request timeouts come',
    config: { tiers: unlimitedTiers({ ...concurrent, requestTimeoutMs: limitMs }) },
    first: saysNothing,
    second: streams('x'),
    // Those whose turn it was not yet are tried again, because their link was lost.
    outcomes: ['timeout', 'completed'],
  },
  {
    when: 'clients leave',
    first: saysNothing,
    second: saysNothing,
    leaves: true,
    outcomes: ['client_closed'],
  },
];

for (const { when, first, second, leaves = false, outcomes, config = {} } of stops) {
  test(`R1: a slot is taken for ever whose link is lost in the turn in which ${when}`, async () => {
    const clock = new FakeClock();
    const tiers = unlimitedTiers(concurrent);
    const one = await harness({ clock, config: { tiers, ...config }, linkLimits });
    const abilities = ['chat', 'continue'];
    const { agent, identity } = await one.agent({ script: first, slots: requests, abilities });
    const all: Submission[] = [];
    for (let n = 1; n <= requests; n += 1) {
      all.push(one.submit({ resume: true, body: bodyOf() }));
      await until(() => agent.requests.length === n);
    }
    await settle();
    for (let n = 1; n <= requests; n += 1) await one.agent({ script: second, abilities });
    if (leaves) for (const { client } of all) client.hangUp();
    else for (let ms = 0; ms <= limitMs; ms += 500) await clock.advanceAsync(500);
    const ends = await Promise.all(all.map(({ result }) => result));
    assert.deepEqual([...new Set(ends.map(({ outcome }) => outcome))], outcomes);
    const { agentId } = identity;
    const detail = one.ports.events.findLast((event) => event.agentId === agentId)?.detail;
    assert.match(detail ?? '', /^too_slow/);
    // R1 and R5 are looked at after each test.
  });
}
