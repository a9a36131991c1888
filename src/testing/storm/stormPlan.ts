/**
 * What each request of the storm asks for and how its client behaves: drawn from a seed, so that a
 * run is told by one number (what then happens also depends on the machine's pace).
 */
import { randomInt, type Random } from '../../lib/random.ts';
import type { FakeBehaviour } from '../engines/fakeEngine.ts';

/** Own agents; shared ones; the same shared ones for another project. */
export const stormRoutes = ['own', 'shared', 'guest'] as const;
export type StormRoute = (typeof stormRoutes)[number];

/** When a client leaves. */
export type HangUp =
  /** With half of its body sent. */
  | { at: 'upload' }
  /** So long after its body, whatever has come by then. */
  | { at: 'time'; afterMs: number }
  /** With the n-th piece of the answer. */
  | { at: 'piece'; count: number };

export interface StormPlan {
  number: number;
  route: StormRoute;
  stream: boolean;
  /** What its engine is to do. */
  order: Pick<FakeBehaviour, 'chunks' | 'tickMs' | 'firstByteMs' | 'padding'> &
    Partial<FakeBehaviour>;
  /** Of its prompt. Beyond a link's credit the body goes to the agent in parts. */
  promptBytes: number;
  hangUp: HangUp | null;
  /** Rests before each piece. */
  readsSlowly: boolean;
}

const MiB = 1024 * 1024;
const refusal = { message: 'made up', type: 'BadRequestError', param: null, code: 400 };
const broken = { message: 'made up', type: 'InternalServerError', param: null, code: 500 };

/** The plan of the n-th request. */
export function stormPlan(number: number, random: Random): StormPlan {
  const chance = (share: number): boolean => random.float() < share;
  const route = stormRoutes[chance(0.5) ? 0 : 1 + randomInt(random, 2)] ?? 'own';
  const stream = chance(0.7);
  const isLarge = chance(0.02);
  // Its own number in every piece of its text: whoever gets another one's bytes is found out.
  const padding = `r${number} ${isLarge ? 'x'.repeat(4000) : ''}`;
  const order: StormPlan['order'] = {
    chunks: isLarge ? 100 : 1 + randomInt(random, 12),
    tickMs: chance(0.5) ? 0 : randomInt(random, 20),
    firstByteMs: chance(0.5) ? 0 : randomInt(random, 60),
    padding,
    ...(chance(0.1) ? faultOf(random, stream) : {}),
  };
  const hangUp = chance(0.45) ? hangUpOf(random, stream) : null;
  const promptBytes = chance(0.05) ? 1 + randomInt(random, 3 * MiB) : 1;
  return { number, route, stream, order, promptBytes, hangUp, readsSlowly: chance(0.05) };
}

/** Half of them before the first byte. */
function faultOf(random: Random, stream: boolean): Partial<FakeBehaviour> {
  const after = random.float() < 0.5 || !stream ? -1 : randomInt(random, 4);
  const faults: Partial<FakeBehaviour>[] = [
    { fault: 'die', after },
    { fault: 'stall', after },
    { fault: 'status', status: 400, body: { error: refusal } },
    { fault: 'status', status: 500, body: { error: broken } },
    ...(stream
      ? [
          { fault: 'malformed' as const, after },
          { fault: 'truncate' as const, after },
          { fault: 'error_event' as const, after, body: { error: broken } },
        ]
      : []),
  ];
  return faults[randomInt(random, faults.length)] ?? {};
}

function hangUpOf(random: Random, stream: boolean): HangUp {
  const which = random.float();
  if (which < 0.05) return { at: 'upload' };
  if (which < 0.7 || !stream) return { at: 'time', afterMs: Math.floor(random.float() ** 2 * 400) };
  return { at: 'piece', count: 1 + randomInt(random, 6) };
}
