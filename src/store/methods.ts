/**
 * Every method of the store as one table, put together from its topics in `methods/`: what it runs,
 * and whether it only reads. Both stores are made from it, so that a method is written once and
 * cannot be forgotten on one of them.
 */
import type { Kysely } from 'kysely';
import { agentMethods } from './methods/agentMethods.ts';
import { apiKeyMethods } from './methods/apiKeyMethods.ts';
import { auditMethods } from './methods/auditMethods.ts';
import { budgetMethods } from './methods/budgetMethods.ts';
import { catalogueMethods } from './methods/catalogueMethods.ts';
import { directoryMethods } from './methods/directoryMethods.ts';
import { enrolmentMethods } from './methods/enrolmentMethods.ts';
import { healthMethods } from './methods/healthMethods.ts';
import { idempotencyMethods } from './methods/idempotencyMethods.ts';
import { identityMethods } from './methods/identityMethods.ts';
import { joinKeyMethods } from './methods/joinKeyMethods.ts';
import { memberMethods } from './methods/memberMethods.ts';
import { operatorMethods } from './methods/operatorMethods.ts';
import { peopleMethods } from './methods/peopleMethods.ts';
import { platformMethods } from './methods/platformMethods.ts';
import { projectMethods } from './methods/projectMethods.ts';
import { secondFactorMethods } from './methods/secondFactorMethods.ts';
import { usageMethods } from './methods/usageMethods.ts';
import type { AuditNote } from './contract/auditStore.ts';
import type { Access, MethodsOf } from './methods/method.ts';
import { appendAuditNote } from './projects/audit.ts';
import { lockClaim, markClaimUsed } from './queries/idempotency.ts';
import type { StoreMethods } from './store.ts';
import type { Tables } from './tables.ts';
import type { Dialect, Tx } from './transaction.ts';

export type MethodName = keyof StoreMethods;

export const methods: MethodsOf<StoreMethods> = {
  ...platformMethods,
  ...peopleMethods,
  ...secondFactorMethods,
  ...identityMethods,
  ...projectMethods,
  ...memberMethods,
  ...apiKeyMethods,
  ...catalogueMethods,
  ...operatorMethods,
  ...joinKeyMethods,
  ...enrolmentMethods,
  ...agentMethods,
  ...healthMethods,
  ...usageMethods,
  ...budgetMethods,
  ...directoryMethods,
  ...auditMethods,
  ...idempotencyMethods,
};

/** One call of a method, by name: what crosses into a worker, and what a transaction runs. */
export interface Call {
  name: MethodName;
  args: readonly unknown[];
}

/**
 * Runs a call in a transaction of its own (X1). On PostgreSQL reads see one snapshot, and writes
 * rely on the locks that they take (X2) rather than on the strictest isolation level, which would
 * break off and repeat what a lock merely puts in order. On SQLite `BeginMode` says the same.
 */
export async function runInTransaction(options: {
  db: Kysely<Tables>;
  dialect: Dialect;
  call: Call;
}): Promise<{ value: unknown; changed: boolean }> {
  const { db, dialect, call } = options;
  const { run } = methods[call.name];
  const access: Access = methods[call.name].access;
  const transaction =
    access === 'read'
      ? db.transaction().setIsolationLevel('repeatable read').setAccessMode('read only')
      : db.transaction().setIsolationLevel('read committed');
  const running = transaction.execute(async (trx) => {
    const tx: Tx = { db: trx, dialect, changed: false, noted: {}, unchanged: false };
    const anyRun = run as unknown as AnyRun;
    const value =
      access === 'change' ? await runChange(tx, anyRun, call.args) : await anyRun(tx, ...call.args);
    return { value, changed: tx.changed };
  });
  return running.catch((error: unknown) => {
    if (error instanceof RefusedChange) return { value: error.outcome, changed: false };
    throw error;
  });
}

/** Rolls a change back that was refused, and carries the refusal out. */
class RefusedChange extends Error {
  readonly outcome: unknown;

  constructor(outcome: unknown) {
    super('a change was refused');
    this.outcome = outcome;
  }
}

type AnyRun = (tx: Tx, ...args: readonly unknown[]) => Promise<unknown>;

/** S7: the change under its claim, then its note; neither without the other, nor when refused. */
async function runChange(tx: Tx, run: AnyRun, args: readonly unknown[]): Promise<unknown> {
  const [{ audit }] = args as [{ audit: AuditNote }];
  const { claim } = audit;
  if (claim !== null) await lockClaim(tx, claim);
  const outcome = (await run(tx, ...args)) as { ok: boolean };
  if (!outcome.ok) throw new RefusedChange(outcome);
  if (tx.unchanged) return outcome;
  await appendAuditNote(tx, audit);
  if (claim !== null) await markClaimUsed(tx, claim);
  return outcome;
}

/** The methods of a store, each of them handed to `call`. */
export function methodsOver(call: (call: Call) => Promise<unknown>): StoreMethods {
  const names = Object.keys(methods) as MethodName[];
  return Object.fromEntries(
    names.map((name) => [name, (...args: unknown[]) => call({ name, args })]),
  ) as unknown as StoreMethods;
}
