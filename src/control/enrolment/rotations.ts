/**
 * Rotations of tokens on their way to the store: one transaction at a time, with all that came
 * while the one before was under way. Agents that joined together refresh together, and one commit
 * each would keep everybody waiting where the database is slow.
 *
 * R6 At most `rotationsWaiting` wait; one more is refused as `stale`, which is tried again.
 */
import type { RotateInput, RotateOutcome } from '../../store/contract/enrolmentStore.ts';
import type { Store } from '../../store/store.ts';
import { rotationsAtOnce, rotationsWaiting } from '../limits.ts';

/** Rejects as the store does; with it all that went together. */
export type Rotate = (input: RotateInput) => Promise<RotateOutcome>;

interface Waiting {
  input: RotateInput;
  resolve: (outcome: RotateOutcome) => void;
  reject: (error: unknown) => void;
}

export function createRotations(store: Pick<Store, 'rotateTokens'>): Rotate {
  const waiting: Waiting[] = [];
  let state: 'resting' | 'rotating' = 'resting';
  const rotateAll = async (): Promise<void> => {
    state = 'rotating';
    while (waiting.length > 0) await rotateSome(store, waiting.splice(0, rotationsAtOnce));
    state = 'resting';
  };
  return (input) => {
    if (waiting.length >= rotationsWaiting) return Promise.resolve({ ok: false, reason: 'stale' });
    return new Promise((resolve, reject) => {
      waiting.push({ input, resolve, reject });
      // It never rejects.
      if (state === 'resting') void rotateAll();
    });
  };
}

async function rotateSome(
  store: Pick<Store, 'rotateTokens'>,
  batch: readonly Waiting[],
): Promise<void> {
  try {
    const outcomes = await store.rotateTokens(batch.map(({ input }) => input));
    for (const [at, { resolve, reject }] of batch.entries()) {
      const outcome = outcomes[at];
      if (outcome === undefined) reject(new Error('a rotation has no outcome'));
      else resolve(outcome);
    }
  } catch (error) {
    for (const { reject } of batch) reject(error);
  }
}
