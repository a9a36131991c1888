/**
 * Exit codes of every command, documented in docs/operating/first-start.md. One that ends for a
 * signal ends with the shell's code for it (130 for Ctrl-C).
 */
export const exitCodes = {
  done: 0,
  /** A failure that none of the others names. */
  failed: 1,
  /** The address or the port cannot be used. */
  listen: 1,
  /** A command, flag or variable that is not allowed. */
  usage: 2,
  /** The data or state directory cannot be made, written, or another process uses it. */
  data_directory: 3,
  /** The database cannot be opened, is damaged or is newer than this program. */
  database: 4,
  /** Certificate or key cannot be used. */
  tls: 5,
  /** The journal cannot be opened. */
  journal: 6,
  /**
   * The server said no, for good: a key, a right, an agent that was removed, another certificate.
   */
  refused: 7,
  /** The server could not be reached. */
  unreachable: 8,
  /** `xim doctor` found something that should be looked at. */
  warnings: 9,
} as const;
