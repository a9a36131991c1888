/**
 * Deliberately broken copies of what the product does, one or more for each invariant: the proof
 * that the simulation's oracle would see it. Each wraps a method from outside, for as long as
 * `whileBroken` runs; the product has no hook for them.
 */
import { InstancePools } from '../../domain/scheduler/instancePools.ts';
import { WaitingQueue } from '../../domain/waiting/waitingQueue.ts';
import { SlotBook } from '../../agent/serving/slotBook.ts';
import { Journal } from '../../router/journal/journal.ts';
import { AgentLink } from '../../router/links/agentLink.ts';
import { Attempt } from '../../router/requests/attempt.ts';
import { SchedulerDriver } from '../../router/requests/schedulerDriver.ts';
import { Router } from '../../router/router.ts';
import type { MemoryPair } from '../../protocol/memoryTransport.ts';
import type { Clock } from '../../lib/clock.ts';
import { LinkSimulation } from './linkSimulation.ts';

export interface Mutation {
  /** The bug, as somebody might make it. */
  bug: string;
  /** A seed that has found it before, looked at first; absent: the first one. */
  foundBy?: number;
  /** Invariants of which one is named when it is found. */
  breaks: readonly string[];
  /** Puts it in; the result takes it out. */
  apply: () => () => void;
}

type Method = (this: never, ...args: never[]) => unknown;
type Anything = Record<string, Method | undefined>;

/** Wraps a method of a class. `original` is bound to the object that is called. */
function wrap<Self, Args extends unknown[]>(
  owner: { prototype: object },
  name: string,
  wrapper: (call: { self: Self; args: Args; original: (...args: Args) => unknown }) => unknown,
): () => void {
  const prototype = owner.prototype as Anything;
  const method = prototype[name];
  if (method === undefined) throw new Error(`there is no method ${name}`);
  const wrapped = function wrapped(this: Self, ...args: Args): unknown {
    const original = (...given: Args): unknown => Reflect.apply(method, this, given);
    return wrapper({ self: this, args, original });
  };
  prototype[name] = wrapped as unknown as Method;
  return () => {
    prototype[name] = method;
  };
}

/** True at every n-th call. */
function everyNth(n: number): () => boolean {
  let calls = 0;
  return () => (calls += 1) % n === 0;
}

interface Event {
  type: string;
  entry?: { projectId: string | null };
  request?: { endpoint: object };
}

export const mutations: readonly Mutation[] = [
  {
    bug: 'a slot is given back twice',
    breaks: ['R1'],
    apply: () =>
      wrap<AgentLink, [string]>(AgentLink, 'give', ({ args, original }) => {
        original(...args);
        original(...args);
      }),
  },
  {
    bug: 'a slot is not given back',
    foundBy: 2,
    breaks: ['R1'],
    apply: () => {
      const isNow = everyNth(7);
      return wrap<SchedulerDriver, [Event]>(SchedulerDriver, 'send', ({ args, original }) => {
        if (args[0].type !== 'release' || !isNow()) original(...args);
      });
    },
  },
  {
    bug: 'a request has no outcome',
    breaks: ['R1'],
    apply: () => {
      const isNow = everyNth(20);
      return wrap<Journal, [unknown, unknown]>(Journal, 'end', ({ args, original }) => {
        original(args[0], isNow() ? undefined : args[1]);
      });
    },
  },
  {
    bug: 'an answer is ended twice',
    breaks: ['R1'],
    apply: () => {
      return wrap<{ sink: { end(): void } }, []>(Attempt, 'finish', ({ self, original }) => {
        original();
        self.sink.end();
      });
    },
  },
  {
    bug: 'nobody tells the scheduler of a suspension',
    foundBy: 8,
    breaks: ['R2'],
    apply: () =>
      wrap<Router, [{ kind: string; entry: { state: string } }]>(
        Router,
        'onDirectory',
        ({ args, original }) => {
          const [{ kind, entry }] = args;
          if (kind !== 'agent' || entry.state === 'enrolled') original(...args);
        },
      ),
  },
  {
    bug: 'an agent serves another project',
    breaks: ['R2'],
    apply: () =>
      wrap<SchedulerDriver, [Event]>(SchedulerDriver, 'send', ({ args, original }) => {
        const [event] = args;
        const isOthers = event.type === 'agent' && event.entry?.projectId === 'proj_b';
        original(isOthers ? { ...event, entry: { ...event.entry, projectId: 'proj_a' } } : event);
      }),
  },
  {
    bug: 'nobody looks at the isolation that is demanded',
    breaks: ['R2'],
    apply: () =>
      wrap<SchedulerDriver, [Event]>(SchedulerDriver, 'send', ({ args, original }) => {
        const [event] = args;
        const { request } = event;
        if (request === undefined) return original(event);
        const endpoint = { ...request.endpoint, minimumIsolation: null };
        return original({ ...event, request: { ...request, endpoint } });
      }),
  },
  {
    bug: 'a DATA frame is relayed twice',
    breaks: ['R3'],
    apply: () => {
      const isNow = everyNth(40);
      return wrap<Attempt, [Buffer]>(Attempt, 'onData', ({ args, original }) => {
        original(...args);
        if (isNow()) original(...args);
      });
    },
  },
  {
    bug: 'a DATA frame is lost',
    foundBy: 3,
    breaks: ['R3'],
    apply: () => {
      const isNow = everyNth(40);
      return wrap<Attempt, [Buffer]>(Attempt, 'onData', ({ args, original }) => {
        if (!isNow()) original(...args);
      });
    },
  },
  {
    bug: 'bytes reach another request',
    breaks: ['R3'],
    apply: () => {
      const isNow = everyNth(60);
      let kept = Buffer.alloc(0);
      return wrap<Attempt, [Buffer]>(Attempt, 'onData', ({ args, original }) => {
        const [chunk] = args;
        original(isNow() && kept.length > 0 ? kept : chunk);
        kept = Buffer.from(chunk);
      });
    },
  },
  {
    bug: 'the network changes the order of messages',
    breaks: ['R3'],
    apply: () =>
      wrap<LinkSimulation, unknown[]>(LinkSimulation, 'connect', ({ self, args, original }) => {
        const pair = original(...args) as MemoryPair | undefined;
        if (pair === undefined) return undefined;
        pair.towardsRouter.reorder = true;
        pair.towardsRouter.delayMs = () => 1 + self.any(400);
        return pair;
      }),
  },
  {
    bug: 'a request waits for the store before it is scheduled',
    breaks: ['R4'],
    apply: () =>
      wrap<{ clock: Clock }, [Event]>(SchedulerDriver, 'send', ({ self, args, original }) => {
        if (args[0].type !== 'arrive') return original(...args);
        return self.clock.setTimer(15, () => original(...args));
      }),
  },
  {
    bug: 'the first byte waits for the disk',
    foundBy: 44,
    breaks: ['R4'],
    apply: () =>
      wrap<{ phase: string; owner: { context: { clock: Clock } } }, [Buffer]>(
        Attempt,
        'onData',
        ({ self, args, original }) => {
          const copy = Buffer.from(args[0]);
          self.owner.context.clock.setTimer(5, () => original(copy));
        },
      ),
  },
  {
    bug: 'a slot that is freed frees its neighbours',
    breaks: ['R5'],
    apply: () =>
      wrap<InstancePools, [{ inFlight: number }, ...unknown[]]>(
        InstancePools,
        'release',
        ({ args, original }) => {
          original(...args);
          args[0].inFlight = 0;
        },
      ),
  },
  {
    bug: 'a slot is counted before it is claimed',
    breaks: ['R5'],
    apply: () => {
      const isNow = everyNth(10);
      return wrap<InstancePools, [{ inFlight: number }, ...unknown[]]>(
        InstancePools,
        'claim',
        ({ args, original }) => {
          original(...args);
          if (isNow()) args[0].inFlight += 1;
        },
      );
    },
  },
  {
    bug: 'the queue has no bound',
    foundBy: 6,
    breaks: ['R6'],
    apply: () => wrap<WaitingQueue, unknown[]>(WaitingQueue, 'boundMet', () => null),
  },
  {
    bug: 'credit is given back before the client has read',
    breaks: ['R6'],
    apply: () =>
      wrap<{ stream?: { consumed(bytes: number): void } }, [number, boolean]>(
        Attempt,
        'credit',
        ({ self, args }) => self.stream?.consumed(args[0]),
      ),
  },
  {
    bug: 'the agent takes whatever comes',
    foundBy: 6,
    breaks: ['A1'],
    apply: () =>
      wrap<{ instances: Map<string, unknown>; take(book: unknown): unknown }, [string]>(
        SlotBook,
        'claim',
        ({ self, args, original }) => {
          const book = self.instances.get(args[0]);
          return book === undefined ? original(...args) : { kind: 'taken', slot: self.take(book) };
        },
      ),
  },
];

/** How the simulation found a bug; null: in none of these seeds. */
export async function findMutation(
  mutation: Mutation,
  seeds: number,
): Promise<{ seed: number; why: string } | null> {
  const restore = mutation.apply();
  try {
    const all = Array.from({ length: seeds }, (_, n) => n + 1);
    for (const seed of new Set([mutation.foundBy ?? 1, ...all])) {
      const why = await whyBroken(seed);
      if (why !== null && mutation.breaks.some((one) => why.includes(one))) return { seed, why };
    }
    return null;
  } finally {
    restore();
  }
}

async function whyBroken(seed: number): Promise<string | null> {
  try {
    await new LinkSimulation(seed).run();
    return null;
  } catch (error) {
    return (error as Error).message.split('\n')[0] ?? '';
  }
}
