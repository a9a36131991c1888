/** What a method of the store is: what it runs, and what its transaction may do. */
import type { AuditNote } from '../contract/auditStore.ts';
import type { Tx } from '../transaction.ts';

/**
 * - `read` runs in a snapshot beside writers;
 * - `write` runs in a transaction that may lock rows;
 * - `patient` is a write whose caller has minutes: it comes after those of people;
 * - `upkeep` is a write that nobody waits for (usage, presence, what is forgotten after a while):
 *   it comes after all others, which matters when the database is slow;
 * - `change` is a write that a person asked for: S7, its note commits with it when its outcome is
 *   ok. Whatever takes an `audit` note is one, and answers with an outcome.
 */
export type Access = 'read' | 'write' | 'patient' | 'upkeep' | 'change';

type AnyMethod = (...args: never[]) => Promise<unknown>;

type AccessOf<Signature extends AnyMethod> =
  Parameters<Signature> extends [{ audit: AuditNote }]
    ? ReturnType<Signature> extends Promise<{ ok: boolean }>
      ? 'change'
      : never
    : 'read' | 'write' | 'patient' | 'upkeep';

export interface Method<Signature extends AnyMethod> {
  access: AccessOf<Signature>;
  run: (tx: Tx, ...args: Parameters<Signature>) => ReturnType<Signature>;
}

/** Every method of a topic: a forgotten one does not compile. */
export type MethodsOf<Topic> = {
  [Name in keyof Topic]: Topic[Name] extends AnyMethod ? Method<Topic[Name]> : never;
};
