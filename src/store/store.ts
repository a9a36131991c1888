/**
 * The store as the control plane sees it: one method = one whole transaction. Nothing of SQL leaks
 * out, no handle crosses; the embedded store runs each method inside its worker thread.
 *
 * `contract/` says what a store can do, topic by topic. `tables/` and `migrations/` are the tables,
 * and what is asked of them lies in folders by topic, written once for both databases and listed in
 * `methods/`; `queries/` has what those share. `sqlite/` and `postgres/` run it; `openStore.ts`
 * chooses. One suite (`testing/storeContract/storeContract.ts`) holds both to what stands here.
 *
 * Invariants
 * S1 A method commits whole or not at all, together with its rows in `changes`.
 * S2 Every change that the data plane must see appends to `changes` in the same transaction.
 * S3 Expected outcomes are returned as `{ ok: false, reason }`, never thrown.
 * S4 `recordUsage` twice with one request id leaves one row.
 * S5 A rotation token older than the previous one suspends its agent, in the transaction that finds
 *    it.
 * S6 Revisions have no gaps and become visible in order: who has read up to n misses nothing
 *    at or below n.
 * S7 A method that is given an `audit` note commits together with it, or changes nothing: not when
 *    the note cannot be written, nor when its outcome is a refusal.
 * S8 A rotation token of a later generation than the database knows shows that the database was set
 *    back to a backup: the agent goes on from there.
 */
import type { AgentStore } from './contract/agentStore.ts';
import type { ApiKeyStore } from './contract/apiKeyStore.ts';
import type { AuditStore } from './contract/auditStore.ts';
import type { BudgetStore } from './contract/budgetStore.ts';
import type { CatalogueStore } from './contract/catalogueStore.ts';
import type { DirectoryStore } from './contract/directoryStore.ts';
import type { EnrolmentStore } from './contract/enrolmentStore.ts';
import type { HealthStore } from './contract/healthStore.ts';
import type { IdempotencyStore } from './contract/idempotencyStore.ts';
import type { IdentityStore } from './contract/identityStore.ts';
import type { JoinKeyStore } from './contract/joinKeyStore.ts';
import type { MemberStore } from './contract/memberStore.ts';
import type { OperatorStore } from './contract/operatorStore.ts';
import type { PeopleStore } from './contract/peopleStore.ts';
import type { PlatformStore } from './contract/platformStore.ts';
import type { ProjectStore } from './contract/projectStore.ts';
import type { SecondFactorStore } from './contract/secondFactorStore.ts';
import type { UsageStore } from './contract/usageStore.ts';

/** Everything that is done in one transaction each. */
export interface StoreMethods
  extends
    PlatformStore,
    PeopleStore,
    SecondFactorStore,
    IdentityStore,
    ProjectStore,
    MemberStore,
    ApiKeyStore,
    CatalogueStore,
    OperatorStore,
    JoinKeyStore,
    EnrolmentStore,
    AgentStore,
    HealthStore,
    UsageStore,
    BudgetStore,
    DirectoryStore,
    AuditStore,
    IdempotencyStore {}

export interface Store extends StoreMethods {
  /** Runs migrations, checks the file. Rejects with a `StoreError` that says what to do. */
  open(): Promise<void>;
  close(): Promise<void>;
  /**
   * Calls back soon after a commit that wrote to `changes`: a hint, which may come late, twice or
   * (other processes on SQLite, a lost connection to PostgreSQL) not at all. Poll for the truth.
   */
  onChange(listener: () => void): () => void;
}
