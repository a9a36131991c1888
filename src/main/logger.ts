/**
 * The log of a process: JSON lines on standard error, by pino. Secrets and bodies never reach it.
 */
import { pino } from 'pino';
import type { Logger } from '../lib/log.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Log lines that wait for a reader of standard error, in bytes; beyond it lines are dropped. */
const maxWaitingBytes = 4 * 1024 * 1024;
/**
 * Lines go out together: a write through the thread pool for each was a seventh of what a short
 * request cost the router. They wait for company this long at most, and for nothing at the exit.
 */
const companyBytes = 4 * 1024;
const companyMs = 200;

/** Never blocks on a slow reader: the router shares the thread. */
export function createLogger(options: { level: LogLevel; name: string }): Logger {
  const destination = pino.destination({
    fd: 2,
    sync: false,
    minLength: companyBytes,
    maxLength: maxWaitingBytes,
    periodicFlush: companyMs,
  });
  return pino({ level: options.level, base: { name: options.name } }, destination);
}
