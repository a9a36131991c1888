/**
 * Why a command cannot start, as a sentence for the person at the terminal. Thrown by the parts of
 * `main/` and caught in one place, which prints the sentence and exits with the kind's code.
 */
import { exitCodes } from '../../cli/exitCodes.ts';

export type StartupProblem = Exclude<keyof typeof exitCodes, 'done'>;

export class StartupError extends Error {
  readonly kind: StartupProblem;
  constructor(kind: StartupProblem, message: string) {
    super(message);
    this.name = 'StartupError';
    this.kind = kind;
  }

  get exitCode(): number {
    return exitCodes[this.kind];
  }
}
