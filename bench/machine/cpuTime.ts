/**
 * What processes have cost: the time that their threads ran, user and system together, from the
 * scheduler's own account (`schedstat`, in nanoseconds; `stat` counts ticks of 10 ms).
 */
import { readdirSync, readFileSync } from 'node:fs';

/** Sum over all threads of the processes that are alive, in µs. */
export function cpuUs(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + processUs(pid), 0);
}

/** Resident memory of the processes together, in MiB. */
export function residentMiB(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return sum + Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024;
  }, 0);
}

function processUs(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.reduce((sum, thread) => sum + threadUs(`/proc/${pid}/task/${thread}`), 0);
}

function threadUs(folder: string): number {
  try {
    return Number(readFileSync(`${folder}/schedstat`, 'utf8').split(' ')[0]) / 1000;
  } catch {
    // The thread has ended since the folder was listed.
    return 0;
  }
}
