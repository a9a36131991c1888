/**
 * The one source of time. Everything that needs the time, a timer or a wait takes a `Clock`;
 * `Date.now` and `setTimeout` elsewhere are lint errors, so that tests and the simulator own time.
 */

/** A pending timer. `cancel` is idempotent and may be called after the timer fired. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /**
   * Wall-clock time in ms since the Unix epoch. May jump; for records and expiry, not for spans.
   */
  now(): number;
  /** Monotonic time in ms from an arbitrary origin, with sub-millisecond digits. For spans. */
  monotonic(): number;
  /** Calls `fire` once after `delayMs`. Timers do not keep the process alive unless `keepAlive`. */
  setTimer(delayMs: number, fire: () => void, options?: { keepAlive?: boolean }): Timer;
}

/**
 * The longest delay that the platform's timers take, in ms (2³¹ − 1; beyond it they fire at once).
 */
const longestDelayMs = 2_147_483_647;

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer(delayMs, fire, options) {
    const handle = setTimeout(fire, Math.min(Math.max(0, delayMs), longestDelayMs));
    if (options?.keepAlive !== true) handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};

/**
 * Waits `delayMs`. Resolves `'elapsed'`, or `'aborted'` as soon as the signal aborts; never
 * rejects, because being told to stop is not an error. Keeps the process alive while it waits.
 */
export function sleep(
  clock: Clock,
  delayMs: number,
  signal?: AbortSignal,
): Promise<'elapsed' | 'aborted'> {
  if (signal?.aborted === true) return Promise.resolve('aborted');
  return new Promise((resolve) => {
    const onAbort = (): void => {
      timer.cancel();
      resolve('aborted');
    };
    const timer = clock.setTimer(
      delayMs,
      () => {
        signal?.removeEventListener('abort', onAbort);
        resolve('elapsed');
      },
      { keepAlive: true },
    );
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
