/**
 * The shared agent of this machine: `src/main/agent.ts` as a process of its own, kept running while
 * the server runs.
 *
 * Invariants
 * S1 It ends with the server, whatever kills that: its standard input is a pipe that nobody else
 *    holds, and it stops when the pipe closes. A terminal's Ctrl-C does not reach it, because the
 *    server stops it in order.
 * S2 It is started again when it ends by itself, or when there is no join key for it because the
 *    database is away, with back-off, and it is said. What the server refused for good is not tried
 *    again.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { exitCodes } from '../../cli/exitCodes.ts';
import { createBackoff } from '../../lib/backoff.ts';
import { sleep } from '../../lib/clock.ts';
import type { Clock } from '../../lib/clock.ts';
import { nodeArguments } from '../../lib/process/nodeArguments.ts';
import type { Random } from '../../lib/random.ts';
import { parseAgentEvent } from '../agent/agentEvents.ts';
import type { AgentWatchEvent } from '../agent/agentEvents.ts';

const restartFirstMs = 1_000;
const restartLongestMs = 60_000;
/** A run this long makes the next back-off start anew. */
const settledMs = 120_000;
/** As `nice` counts: 0 is usual, 19 the last in line. */
const agentPriority = 5;
/** From SIGTERM to SIGKILL. */
const stopTimeoutMs = 2_000;

export interface SharedAgentOptions {
  /** Arguments of the agent. */
  args: readonly string[];
  /** A join key for the next start. Never rejects. */
  joinKey: () => Promise<JoinKeyOutcome>;
  onEvent: (event: AgentWatchEvent) => void;
  /** What the agent writes to its standard error: its log. */
  onLog: (text: string) => void;
  clock: Clock;
  random: Random;
}

export type JoinKeyOutcome =
  | { kind: 'key'; text: string }
  /** The agent has enrolled before. */
  | { kind: 'not_needed' }
  /** `why` ends a sentence. */
  | { kind: 'unavailable'; why: string };

export interface SharedAgent {
  /** Resolves when it is stopped, or refused for good (S2). Never rejects. */
  run(): Promise<void>;
  /** Ends the process in order, by force after two seconds. Idempotent. */
  stop(): Promise<void>;
  /** Ends the process now. */
  kill(): void;
  readonly pid: number | undefined;
}

const entry = path.join(import.meta.dirname, '..', 'agent.ts');

export function createSharedAgent(options: SharedAgentOptions): SharedAgent {
  const { clock, random } = options;
  const stopping = new AbortController();
  let child: ChildProcess | undefined;
  let running: Promise<void> | undefined;

  /** One life of the process: how it ended, inside a sentence; undefined when for good. */
  const once = async (): Promise<string | undefined> => {
    const joinKey = await options.joinKey();
    if (joinKey.kind === 'unavailable') return `has no join key (${joinKey.why})`;
    if (stopping.signal.aborted) return undefined;
    const started = startProcess(options, joinKey.kind === 'key' ? joinKey.text : undefined);
    child = started;
    return new Promise((resolve) => {
      started.on('error', ({ message }) => resolve(`could not be started (${message})`));
      started.on('close', (code) => {
        if (code === exitCodes.refused) resolve(undefined);
        else resolve(code === null ? 'was killed' : `ended with code ${code}`);
      });
    });
  };

  const keep = async (): Promise<void> => {
    const backoff = createBackoff({ random, firstMs: restartFirstMs, longestMs: restartLongestMs });
    while (!stopping.signal.aborted) {
      const startedAtMs = clock.monotonic();
      const how = await once();
      child = undefined;
      if (stopping.signal.aborted || how === undefined) return;
      if (clock.monotonic() - startedAtMs > settledMs) backoff.reset();
      const delayMs = backoff.nextMs();
      const seconds = (delayMs / 1000).toFixed(1);
      const message = `the shared agent ${how}; it is started again in ${seconds} s`;
      options.onEvent({ kind: 'ended', message });
      await sleep(clock, delayMs, stopping.signal);
    }
  };

  return {
    get pid() {
      return child?.pid;
    },
    run() {
      running ??= keep();
      return running;
    },
    async stop() {
      stopping.abort();
      const force = clock.setTimer(stopTimeoutMs, () => child?.kill('SIGKILL'), {
        keepAlive: true,
      });
      child?.kill('SIGTERM');
      await running;
      force.cancel();
    },
    kill() {
      stopping.abort();
      child?.kill('SIGKILL');
    },
  };
}

function startProcess(options: SharedAgentOptions, joinKey: string | undefined): ChildProcess {
  const { XIM_JOIN_KEY: _, ...environment } = process.env;
  const started = spawn(process.execPath, [...nodeArguments, entry, ...options.args], {
    env: joinKey === undefined ? environment : { ...environment, XIM_JOIN_KEY: joinKey },
    stdio: ['pipe', 'pipe', 'pipe'],
    // S1: out of the terminal's process group.
    detached: true,
  });
  lowerPriority(started.pid);
  createInterface({ input: started.stdout }).on('line', (line) => {
    const event = parseAgentEvent(line);
    if (event !== undefined) options.onEvent(event);
  });
  started.stderr.setEncoding('utf8').on('data', options.onLog);
  // Nobody writes to it; its end may be noticed as EPIPE all the same.
  started.stdin.on('error', () => {});
  return started;
}

/** On a small machine the router's turn comes before the engine's. */
function lowerPriority(pid: number | undefined): void {
  try {
    if (pid !== undefined) os.setPriority(pid, agentPriority);
  } catch {
    // It has ended already, or the system does not allow it: it runs as it is.
  }
}
