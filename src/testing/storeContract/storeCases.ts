/** What a case of the store's contract gets, and how cases are written down. */
import type { Store } from '../../store/store.ts';

/** One empty database. */
export interface StoreFixture {
  /** Made, not open. */
  store: Store;
  /** A store on the same database, as another process would have it; not open yet. */
  another: () => Store;
  /** Runs a statement past the store. */
  sql: (statement: string) => Promise<void>;
  /** Notes what the database holds, past the store: what migrations have put there. */
  mark: () => Promise<void>;
  /** Brings it back to that; the store stays open. False: it has other tables by now. */
  reset: () => Promise<boolean>;
  /** Closes what is open and removes the database. */
  dispose: () => Promise<void>;
}

/** Cases of one topic, by the failure that they prevent. */
export type StoreCases = Record<string, (fixture: StoreFixture) => Promise<void>>;
