/**
 * What a store rejects with when the database is at fault. `kind` is for the program, the message
 * is for the operator and says what to do next. Any other rejection of a store is a bug of ours.
 */

export const storeErrorKinds = [
  /** The file's content is damaged, or it is no database. */
  'corrupt',
  /** No right to write, or no place to write to. */
  'not_writable',
  'disk_full',
  /** A newer program has migrated this database. */
  'too_new',
  /** Not reachable, too slow, overloaded, closed, or its worker ended. May work again later. */
  'unavailable',
] as const;

export type StoreErrorKind = (typeof storeErrorKinds)[number];

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly kind: StoreErrorKind;

  constructor(kind: StoreErrorKind, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}
