/**
 * The logger that everything takes: the subset of pino that we use, so that `main/` can hand in a
 * pino instance as it is and a test can hand in `silentLogger`. Fields carry the facts, the message
 * is a constant sentence. Secrets and bodies never appear in either.
 */

/** Facts of one log line, by name. An error stands under `err`. */
export type LogFields = Record<string, unknown>;

export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** A logger whose every line carries `fields` too. */
  child(fields: LogFields): Logger;
}

const nothing = (): void => {};

/** Says nothing: for tests and for callers without a log. */
export const silentLogger: Logger = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => silentLogger,
};
