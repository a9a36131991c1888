/**
 * A command's surroundings when it is a process: its streams, its environment, the machine's clock.
 */
import os from 'node:os';
import type { Command, CommandContext } from '../../cli/command.ts';
import { runCli } from '../../cli/runCli.ts';
import { systemClock } from '../../lib/clock.ts';
import { systemRandom } from '../../lib/random.ts';
import { StartupError } from './startupError.ts';
import { stopSignals } from './stopSignals.ts';
import { terminalInput } from './terminalInput.ts';

const input = terminalInput();

/** A reader that is gone takes nothing more, and is in nobody's way. */
function drained(): Promise<void> {
  const { stdout } = process;
  if (!stdout.writableNeedDrain || stdout.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      stdout.off('drain', done).off('close', done);
      resolve();
    };
    stdout.on('drain', done).on('close', done);
  });
}

export const processContext: CommandContext = {
  terminal: {
    out: (text) => void process.stdout.write(text),
    note: (text) => void process.stderr.write(text),
    drained,
    screen: process.stdout.isTTY,
  },
  input,
  env: process.env,
  clock: systemClock,
  random: systemRandom,
  machine: os.hostname(),
  stopping() {
    const signals = stopSignals(systemClock);
    signals.second.addEventListener('abort', () => signals.die());
    return { signal: signals.first, exitCode: () => signals.exitCode() };
  },
};

/**
 * Runs a command line (by default the process's own) over a table of commands and leaves the exit
 * code. A
 * `StartupError` ends as its sentence; anything else is a bug and ends with its stack.
 */
export async function runProcess(
  commands: readonly Command[],
  args: readonly string[] = process.argv.slice(2),
): Promise<void> {
  // A reader that went away (`xim requests list | head`, a log collector) is no failure: what runs
  // goes on, and what is told to stop does it in order.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
  try {
    process.exitCode = await runCli(commands, processContext, args);
  } catch (error) {
    if (!(error instanceof StartupError)) throw error;
    process.stderr.write(`xim: ${error.message}\n`);
    process.exitCode = error.exitCode;
  } finally {
    input.close();
  }
}
