/** What crosses between the main thread and a worker of the embedded store. */
import type { Call } from '../methods.ts';
import { StoreError } from '../storeError.ts';
import type { StoreErrorKind } from '../storeError.ts';

/** The writer opens the file, migrates it and runs methods that write; the reader only reads. */
export type Role = 'writer' | 'reader';

export interface WorkerOptions {
  file: string;
  role: Role;
}

/** `open` comes first; a worker loads its program while it waits for it. */
export type ToWorker =
  | { kind: 'open' }
  | { kind: 'call'; id: number; call: Call }
  | { kind: 'close' };

export type FromWorker =
  | { kind: 'opened' }
  /** The worker ends after it. */
  | { kind: 'open_failed'; error: ErrorMessage }
  | { kind: 'result'; id: number; value: unknown }
  | { kind: 'failed'; id: number; error: ErrorMessage }
  /** A commit wrote to `changes`. */
  | { kind: 'changed' };

/** An error as data: a clone of an `Error` loses its class and `kind`. */
export interface ErrorMessage {
  /** Undefined: a bug. */
  kind: StoreErrorKind | undefined;
  message: string;
  stack: string | undefined;
}

export function packError(error: unknown): ErrorMessage {
  const kind = error instanceof StoreError ? error.kind : undefined;
  if (!(error instanceof Error)) return { kind, message: String(error), stack: undefined };
  return { kind, message: error.message, stack: error.stack };
}

export function unpackError({ kind, message, stack }: ErrorMessage): Error {
  const error = kind === undefined ? new Error(message) : new StoreError(kind, message);
  if (stack !== undefined) error.stack = stack;
  return error;
}
