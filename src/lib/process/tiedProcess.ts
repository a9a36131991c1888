/**
 * Tools that end with us. A child whose parent is killed goes on by itself: a package manager would
 * fetch for minutes for nobody, beside the one that the next start runs.
 *
 * Invariant
 * T1 The tool is killed when this process has gone, whatever ended it: a shell stands between,
 *    reads a pipe that only we hold, and kills the tool at the pipe's end.
 */
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

export interface TiedProcess {
  /** Emits `close` with the tool's exit code: 127 when it is not there, 126 when it may not run. */
  child: ChildProcessByStdio<Writable, null, Readable>;
  /** Kills the tool. Idempotent. */
  end: () => void;
}

/** A shell's background command has no standard input, so descriptor 3 keeps the pipe. */
const script = `
exec 3<&0
"$@" 3<&- </dev/null & tool=$!
{ read -r _ <&3; kill -KILL "$tool"; } 2>/dev/null & guard=$!
wait "$tool"; code=$?
kill "$guard" 2>/dev/null
exit "$code"`;

/** Runs `command` with the arguments as they are; its standard output goes nowhere. */
export function startTied(
  command: string,
  args: readonly string[],
  { cwd }: { cwd?: string } = {},
): TiedProcess {
  const child = spawn('sh', ['-c', script, 'sh', command, ...args], {
    cwd,
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  // Nobody writes to it; the shell's end may be noticed as EPIPE all the same.
  child.stdin.on('error', () => {});
  return { child, end: () => void child.stdin.end() };
}
