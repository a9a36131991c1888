/**
 * Hears of commits of all processes that use this database: one connection that listens, made again
 * whenever it is lost. What was said meanwhile is lost too, so a new connection counts as a hint.
 */
import { Client } from 'pg';
import type { ClientConfig } from 'pg';
import { createBackoff } from '../../lib/backoff.ts';
import { sleep } from '../../lib/clock.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import { listenFirstDelayMs, listenLongestDelayMs } from '../limits.ts';
import { changeChannel } from '../directory/changes.ts';

export interface ChangeListener {
  /** Resolves when the first attempt has worked or failed; listening goes on in the background. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

export function createChangeListener(options: {
  config: ClientConfig;
  clock: Clock;
  random: Random;
  log: Logger;
  onChange: () => void;
}): ChangeListener {
  const stopping = new AbortController();
  let running: Promise<void> = Promise.resolve();
  return {
    start: () =>
      new Promise((resolve) => {
        running = listen({ ...options, signal: stopping.signal, onAttempted: resolve });
      }),
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

interface ListenOptions {
  config: ClientConfig;
  clock: Clock;
  random: Random;
  log: Logger;
  signal: AbortSignal;
  onChange: () => void;
  onAttempted: () => void;
}

/** Ends only when the signal aborts; never rejects. */
async function listen(options: ListenOptions): Promise<void> {
  const { clock, random, log, signal, onChange, onAttempted } = options;
  const backoff = createBackoff({
    random,
    firstMs: listenFirstDelayMs,
    longestMs: listenLongestDelayMs,
  });
  const onListening = (): void => {
    backoff.reset();
    onAttempted();
    onChange();
  };
  while (!signal.aborted) {
    try {
      await listenOnce({ ...options, onListening });
    } catch (err) {
      if (!signal.aborted) log.warn({ err }, 'cannot listen for changes; polls go on');
      onAttempted();
    }
    await sleep(clock, backoff.nextMs(), signal);
  }
}

/** Resolves when the connection has ended, rejects when it could not be made. */
async function listenOnce(options: ListenOptions & { onListening: () => void }): Promise<void> {
  const { config, log, signal, onChange, onListening } = options;
  const client = new Client(config);
  const ended = new Promise<void>((resolve) => {
    client.on('end', resolve);
  });
  client.on('error', (err) => log.warn({ err }, 'the connection that listens for changes broke'));
  client.on('notification', onChange);
  // Also in the middle of connecting: who stops does not wait for a server that does not answer.
  const onAbort = (): void => void client.end().catch(() => undefined);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await client.connect();
    await client.query(`listen ${changeChannel}`);
    onListening();
    await ended;
  } finally {
    signal.removeEventListener('abort', onAbort);
    // Ends a connection of which only a part came about; one that has ended stays so.
    await client.end().catch(() => undefined);
  }
}
