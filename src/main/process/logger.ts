/**
 * The log of a process: JSON lines on standard error, by pino. Secrets and bodies never reach it.
 */
import { pino } from 'pino';
import { systemClock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import { LineWriter } from './lineWriter.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Log lines that wait for a reader of standard error, in bytes; beyond it lines are dropped. */
const maxWaitingBytes = 4 * 1024 * 1024;
/**
 * Lines go out together: a write through the thread pool for each was a seventh of what a short
 * request cost the router. They wait for company this long at most.
 */
const companyBytes = 4 * 1024;
const companyMs = 200;

/**
 * Never blocks on a slow reader. Not by pino's own destination: with a reader that has gone it
 * writes the last lines again and again at the exit, so that the process never ends.
 */
export function createLogger(options: { level: LogLevel; name: string }): Logger {
  const lines = new LineWriter({
    fd: 2,
    clock: systemClock,
    companyBytes,
    companyMs,
    maxWaitingBytes,
  });
  // An orderly end writes as always; the process stays for it. Any other one takes what it can.
  process.on('beforeExit', () => lines.flush());
  process.on('exit', () => lines.end());
  return pino({ level: options.level, base: { name: options.name } }, lines);
}
