/**
 * What a command of `xim` is. The table of all commands (`commands.ts`, joined in `main/`) is what
 * dispatch, `--help`, shell completion and the goldens are made from.
 */
import type { Clock } from '../lib/clock.ts';
import type { ConfigOf, ConfigTable } from '../lib/config.ts';
import type { Random } from '../lib/random.ts';

export interface Terminal {
  /** What the command is asked for: may be piped, so it carries nothing else. */
  out(text: string): void;
  /** What a person should know beside it: notes, progress, errors. */
  note(text: string): void;
  /** Resolves when what `out` has said so far is not in the way of more. */
  drained(): Promise<void>;
  /** Whether what `out` says is looked at on a screen. */
  readonly screen: boolean;
}

/** Standard input: a person, or what is piped in. */
export interface TerminalInput {
  /** A person sits there, and questions can be asked. */
  readonly interactive: boolean;
  /**
   * One line: from the person, who sees the question, or the next one of what is piped in.
   * Undefined: there is none. What is secret is not shown while it is typed.
   */
  line(question: string, options?: { secret?: boolean }): Promise<string | undefined>;
  /** Something is piped in by a shell, or read from a file. */
  readonly piped: boolean;
  /** All of it that was not read yet, to its end. */
  rest(): Promise<string>;
  /** Line after line with a person, to whom ^C is a word. Only where it is interactive. */
  dialogue(): Dialogue;
}

export interface Dialogue {
  next(prompt: string): Promise<DialogueLine>;
  /** From now until `done`, ^C aborts the signal. */
  interruption(): { signal: AbortSignal; done(): void };
  close(): void;
}

export type DialogueLine =
  | { kind: 'line'; text: string }
  /** ^C at the prompt. */
  | { kind: 'interrupted' }
  | { kind: 'ended' };

export interface CommandContext {
  terminal: Terminal;
  input: TerminalInput;
  env: Readonly<Record<string, string | undefined>>;
  clock: Clock;
  random: Random;
  /** Name of this machine, for things that are made here. */
  machine: string;
  /**
   * From this call on the first Ctrl-C (or SIGTERM) is a word to the command, which ends in order;
   * the second one ends it at once. To be called once.
   */
  stopping(): Stopping;
}

export interface Stopping {
  /** Aborted by the first word. */
  signal: AbortSignal;
  /** Of a command that ends for it. */
  exitCode(): number;
}

export interface Command {
  /** Words after `xim`, e.g. `['join-keys', 'create']`. */
  words: readonly string[];
  /** One line for the overview, without a full stop. */
  summary: string;
  /** More for the command's own help. */
  details?: string;
  options: ConfigTable;
  /** What follows the words, e.g. `['ID']`; in brackets, and last, what may be left out. */
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
