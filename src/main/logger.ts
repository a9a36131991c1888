/**
 * The log of a process: JSON lines on standard error, by pino. Secrets and bodies never reach it.
 */
import { pino } from 'pino';
import type { Logger } from '../lib/log.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Log lines that wait for a reader of standard error, in bytes; beyond it lines are dropped. */
const maxWaitingBytes = 4 * 1024 * 1024;

/** Never blocks on a slow reader: the router shares the thread. */
export function createLogger(options: { level: LogLevel; name: string }): Logger {
  const destination = pino.destination({ fd: 2, sync: false, maxLength: maxWaitingBytes });
  return pino({ level: options.level, base: { name: options.name } }, destination);
}
