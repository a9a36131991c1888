/**
 * Why a command cannot start, as a sentence for the person at the terminal. Thrown by the parts of
 * `main/` and caught in one place, which prints the sentence and exits with the kind's code.
 */

/** Exit codes, documented in docs/operating/first-start.md. 1 is for what is not listed here. */
export const exitCodes = {
  /** A bug, or a failure that none of the others names. */
  failed: 1,
  /** The port is taken, or the address is not this machine's. */
  listen: 1,
  /** A flag or variable that is not allowed. */
  usage: 2,
  /** The data directory cannot be made, written or is another server's. */
  data_directory: 3,
  /** The database cannot be opened, is damaged or is newer than this program. */
  database: 4,
  /** Certificate or key cannot be used. */
  tls: 5,
  /** The journal cannot be opened. */
  journal: 6,
  /** The server refused, for good: a join key, an agent that was removed, another certificate. */
  refused: 7,
  /** The server could not be reached. */
  unreachable: 8,
} as const;

export type StartupProblem = keyof typeof exitCodes;

export class StartupError extends Error {
  readonly kind: StartupProblem;
  constructor(kind: StartupProblem, message: string) {
    super(message);
    this.name = 'StartupError';
    this.kind = kind;
  }
}
