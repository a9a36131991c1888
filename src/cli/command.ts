/**
 * What a command of `xim` is. The table of all commands (`commands.ts`, joined in `main/`) is what
 * dispatch, `--help` and the goldens are made from.
 */
import type { Clock } from '../lib/clock.ts';
import type { ConfigOf, ConfigTable } from '../lib/config.ts';

export interface Terminal {
  /** What the command is asked for: may be piped, so it carries nothing else. */
  out(text: string): void;
  /** What a person should know beside it: notes, progress, errors. */
  note(text: string): void;
}

export interface CommandContext {
  terminal: Terminal;
  env: Readonly<Record<string, string | undefined>>;
  clock: Clock;
}

export interface Command {
  /** Words after `xim`, e.g. `['join-keys', 'create']`. */
  words: readonly string[];
  /** One line for the overview, without a full stop. */
  summary: string;
  /** More for the command's own help. */
  details?: string;
  options: ConfigTable;
  /** What follows the words, e.g. `['ID']`; all are required. */
  operands?: readonly string[];
  /**
   * Variables below `XIM_` that others read. Where it is given, any other one that no option knows
   * is pointed out as a likely slip.
   */
  foreignEnv?: readonly string[];
  /** Returns the exit code. */
  run(context: CommandContext, input: CommandInput): Promise<number>;
}

export interface CommandInput {
  options: Readonly<Record<string, unknown>>;
  operands: readonly string[];
}

/** A command whose options are typed by its table. */
export function defineCommand<const Table extends ConfigTable>(
  command: Omit<Command, 'options' | 'run'> & {
    options: Table;
    run(
      context: CommandContext,
      input: { options: ConfigOf<Table>; operands: readonly string[] },
    ): Promise<number>;
  },
): Command {
  // `runCli` reads the options from this very table, so they have its types.
  return command as unknown as Command;
}
