/**
 * Being told to stop: the first signal asks for an orderly end, the next one for an end at once.
 * `npm` and `bin/xim` pass a terminal's Ctrl-C on to a child that has had it already, so signals
 * within half a second are one.
 */
import type { Clock } from '../lib/clock.ts';

const sameSignalMs = 500;

export interface StopSignals {
  /** Aborted by the first signal. */
  readonly first: AbortSignal;
  /** Aborted by the second. */
  readonly second: AbortSignal;
  /** The first, without a signal. */
  stop(): void;
}

/** Listens for SIGINT, SIGTERM and SIGHUP for as long as the process lives. */
export function stopSignals(clock: Clock): StopSignals {
  const first = new AbortController();
  const second = new AbortController();
  let lastAtMs = -Infinity;
  const onSignal = (): void => {
    const nowMs = clock.monotonic();
    const repeated = nowMs - lastAtMs < sameSignalMs;
    lastAtMs = nowMs;
    if (repeated) return;
    if (first.signal.aborted) second.abort();
    else first.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  return { first: first.signal, second: second.signal, stop: () => first.abort() };
}
