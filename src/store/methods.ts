/**
 * Every method of the store as one table: what it runs, and whether it only reads. Both stores are
 * made from it, so that a method is written once and cannot be forgotten on one of them.
 */
import type { Kysely } from 'kysely';
import type { Store } from './store.ts';
import type { Tables } from './tables.ts';
import type { Dialect, Tx } from './transaction.ts';
import { agentEvents, insertAgentEvent } from './queries/agentEvents.ts';
import {
  agentByEnrollment,
  agentById,
  agentsOf,
  expireAgents,
  markFirstLinked,
  markSeen,
  setAgentState,
} from './queries/agents.ts';
import { apiKeysOf, revokeApiKey } from './queries/apiKeys.ts';
import { bootstrap } from './queries/bootstrap.ts';
import { changesSince, directory } from './queries/directory.ts';
import { endpointsOf } from './queries/endpoints.ts';
import { enroll } from './queries/enroll.ts';
import { insertJoinKey, joinKeyById, joinKeysOf, revokeJoinKey } from './queries/joinKeys.ts';
import { modelById, updateModelSource } from './queries/models.ts';
import {
  deleteExpiredSessions,
  deleteSession,
  insertSession,
  isBootstrapped,
  sessionByHash,
  userByEmail,
  userById,
} from './queries/people.ts';
import { projects } from './queries/projects.ts';
import { rotateToken } from './queries/rotateToken.ts';
import { setting, settingOrInsert } from './queries/settings.ts';
import { recentUsage, recordUsage } from './queries/usage.ts';

/** What a store does in one transaction: all of it but its own life. */
export type StoreMethods = Omit<Store, 'open' | 'close' | 'onChange'>;
export type MethodName = keyof StoreMethods;
export type MethodArguments<Name extends MethodName> = Parameters<StoreMethods[Name]>;
export type MethodResult<Name extends MethodName> = Awaited<ReturnType<StoreMethods[Name]>>;

/** `read` runs in a snapshot beside writers, `write` in a transaction that may lock rows. */
export type Access = 'read' | 'write';

export interface Method<Name extends MethodName> {
  access: Access;
  run: (tx: Tx, ...args: MethodArguments<Name>) => Promise<MethodResult<Name>>;
}

export const methods: { [Name in MethodName]: Method<Name> } = {
  isBootstrapped: { access: 'read', run: isBootstrapped },
  bootstrap: { access: 'write', run: bootstrap },
  userByEmail: { access: 'read', run: userByEmail },
  userById: { access: 'read', run: userById },
  insertSession: { access: 'write', run: insertSession },
  sessionByHash: { access: 'read', run: sessionByHash },
  deleteSession: { access: 'write', run: deleteSession },
  deleteExpiredSessions: { access: 'write', run: deleteExpiredSessions },

  projects: { access: 'read', run: projects },
  endpointsOf: { access: 'read', run: endpointsOf },
  modelById: { access: 'read', run: modelById },
  updateModelSource: { access: 'write', run: updateModelSource },
  apiKeysOf: { access: 'read', run: apiKeysOf },
  revokeApiKey: { access: 'write', run: revokeApiKey },

  insertJoinKey: { access: 'write', run: insertJoinKey },
  joinKeyById: { access: 'read', run: joinKeyById },
  joinKeysOf: { access: 'read', run: joinKeysOf },
  revokeJoinKey: { access: 'write', run: revokeJoinKey },
  agentByEnrollment: { access: 'read', run: agentByEnrollment },
  enroll: { access: 'write', run: enroll },
  agentById: { access: 'read', run: agentById },
  agentsOf: { access: 'read', run: agentsOf },
  rotateToken: { access: 'write', run: rotateToken },
  setAgentState: { access: 'write', run: setAgentState },
  markFirstLinked: { access: 'write', run: markFirstLinked },
  expireAgents: { access: 'write', run: expireAgents },
  markSeen: { access: 'write', run: markSeen },
  insertAgentEvent: { access: 'write', run: insertAgentEvent },
  agentEvents: { access: 'read', run: agentEvents },

  recordUsage: { access: 'write', run: recordUsage },
  recentUsage: { access: 'read', run: recentUsage },

  setting: { access: 'read', run: setting },
  settingOrInsert: { access: 'write', run: settingOrInsert },

  directory: { access: 'read', run: directory },
  changesSince: { access: 'read', run: changesSince },
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
  const { access, run } = methods[call.name];
  const transaction =
    access === 'read'
      ? db.transaction().setIsolationLevel('repeatable read').setAccessMode('read only')
      : db.transaction().setIsolationLevel('read committed');
  return transaction.execute(async (trx) => {
    const tx: Tx = { db: trx, dialect, changed: false };
    const value = await (run as AnyRun)(tx, ...call.args);
    return { value, changed: tx.changed };
  });
}

type AnyRun = (tx: Tx, ...args: readonly unknown[]) => Promise<unknown>;

/** The methods of a store, each of them handed to `call`. */
export function methodsOver(call: (call: Call) => Promise<unknown>): StoreMethods {
  const names = Object.keys(methods) as MethodName[];
  return Object.fromEntries(
    names.map((name) => [name, (...args: unknown[]) => call({ name, args })]),
  ) as unknown as StoreMethods;
}
