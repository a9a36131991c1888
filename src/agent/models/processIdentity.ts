/**
 * Names this process so that another one on the same disk can tell whether it still lives. A pid
 * alone comes back after a restart and means nothing in another container, so the name carries the
 * process's start time and a scope (this boot of this machine, this pid namespace).
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { sha256Hex, toBase64url } from '../../lib/crypto/hashing.ts';
import type { Random } from '../../lib/random.ts';

export interface ProcessIdentity {
  /** Unique file name: `<scope>.<pid>.<start>.<nonce>`. */
  name: string;
}

export type Liveness = 'alive' | 'dead' | 'unknown';

export function processIdentity(random: Random): ProcessIdentity {
  const nonce = toBase64url(random.bytes(9));
  return { name: [scope(), process.pid, statusOf(process.pid)?.startTicks ?? 0, nonce].join('.') };
}

/**
 * Whether the process behind a name lives; `unknown` when it is in another container or machine.
 */
export function livenessOf(name: string): Liveness {
  const [itsScope, pid, start] = name.split('.');
  if (itsScope === undefined || pid === undefined || start === undefined) return 'dead';
  if (itsScope !== scope()) return 'unknown';
  if (!isRunning(Number(pid))) return 'dead';
  const now = statusOf(Number(pid));
  if (now === undefined) return 'alive';
  if (now.ended) return 'dead';
  return start === '0' || String(now.startTicks) === start ? 'alive' : 'dead';
}

let ownScope: string | undefined;

function scope(): string {
  ownScope ??= sha256Hex(`${bootId()} ${pidNamespace()}`).slice(0, 12);
  return ownScope;
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return 'no boot id';
  }
}

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return 'no pid namespace';
  }
}

/** What the system says of a process; undefined where it does not say. */
function statusOf(pid: number): { startTicks: number; ended: boolean } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command in parentheses may hold spaces; the fields after it are counted from the state.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // One that was killed keeps its pid until its parent asks how it ended, which some never do.
    const ended = ['Z', 'X', 'x'].includes(fields[0] ?? '');
    return { startTicks: Number(fields[19]), ended };
  } catch {
    return undefined;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
