/** What a method of the store is: what it runs, and what its transaction may do. */
import type { Tx } from '../transaction.ts';

/** `read` runs in a snapshot beside writers, `write` in a transaction that may lock rows. */
export type Access = 'read' | 'write';

type AnyMethod = (...args: never[]) => Promise<unknown>;

export interface Method<Signature extends AnyMethod> {
  access: Access;
  run: (tx: Tx, ...args: Parameters<Signature>) => ReturnType<Signature>;
}

/** Every method of a topic: a forgotten one does not compile. */
export type MethodsOf<Topic> = {
  [Name in keyof Topic]: Topic[Name] extends AnyMethod ? Method<Topic[Name]> : never;
};
