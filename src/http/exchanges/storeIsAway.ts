/**
 * Whether a use-case failed because the database is at fault, which is a 503 and no bug. Told by
 * the error's class name: http stands on control and must not know the store.
 */
export function storeIsAway(error: unknown): boolean {
  return error instanceof Error && error.name === 'StoreError';
}
