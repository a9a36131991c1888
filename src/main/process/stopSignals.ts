/**
 * Being told to stop: the first time asks for an orderly end, the next one for an end at once.
 *
 * Told is a process by a signal; `npm` and `bin/xim` pass a terminal's Ctrl-C on to a child that
 * has had it already, so signals within half a second are one. And by the end of the process that
 * started it over a channel, which `bin/xim` is on an older Node: killed, it can pass nothing on.
 */
import os from 'node:os';
import type { Clock } from '../../lib/clock.ts';

const sameSignalMs = 500;
/** From the end of the launcher, which was the first word, to the second. */
const launcherGoneMs = 4_500;

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface StopSignals {
  /** Aborted by the first signal. */
  readonly first: AbortSignal;
  /** Aborted by the second. */
  readonly second: AbortSignal;
  /** As a shell says it of what the last signal ended: 130 of SIGINT. */
  exitCode(): number;
  /**
   * Ends the process now, as the last signal would have done by itself (SIGTERM without one). A
   * look-up of a name cannot be called off, and an orderly exit waits for it, ten seconds and more.
   */
  die(): void;
}

/** Listens for as long as the process lives. */
export function stopSignals(clock: Clock): StopSignals {
  const first = new AbortController();
  const second = new AbortController();
  let last: (typeof signals)[number] = 'SIGTERM';
  let lastAtMs = -Infinity;
  const tell = (): void => {
    if (first.signal.aborted) second.abort();
    else first.abort();
  };
  const onSignal = (signal: (typeof signals)[number]): void => {
    const nowMs = clock.monotonic();
    const repeated = nowMs - lastAtMs < sameSignalMs;
    last = signal;
    lastAtMs = nowMs;
    if (!repeated) tell();
  };
  for (const signal of signals) process.on(signal, onSignal);
  onLauncherGone(() => {
    first.abort();
    clock.setTimer(launcherGoneMs, () => second.abort());
  });
  return {
    first: first.signal,
    second: second.signal,
    exitCode: () => 128 + os.constants.signals[last],
    die() {
      for (const signal of signals) process.removeAllListeners(signal);
      process.kill(process.pid, last);
    },
  };
}

function onLauncherGone(gone: () => void): void {
  // Node leaves it undefined in a process that was started without a channel.
  const connected = process.connected as boolean | undefined;
  if (connected === undefined) return;
  if (!connected) return gone();
  process.once('disconnect', gone);
  // Listening keeps the channel, and by it the process; one that has ended may go.
  process.channel?.unref();
}
