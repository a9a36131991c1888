/**
 * Kysely over `node:sqlite`: one connection, synchronous underneath. Who uses it runs one
 * transaction at a time.
 */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import type { CompiledQuery, DatabaseConnection, Dialect, Driver, QueryResult } from 'kysely';
import { SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from 'kysely';
import { preparedStatementsMax } from '../limits.ts';

/**
 * `immediate` takes the write lock when a transaction begins, so that what it reads first is still
 * true when it writes; `deferred` only reads, in a snapshot.
 */
export type BeginMode = 'immediate' | 'deferred';

/** The dialect closes `database` when its Kysely instance is destroyed. */
export function nodeSqliteDialect(options: { database: DatabaseSync; begin: BeginMode }): Dialect {
  return {
    createDriver: () => new NodeSqliteDriver(options),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new SqliteAdapter(),
    createIntrospector: (db) => new SqliteIntrospector(db),
  };
}

class NodeSqliteDriver implements Driver {
  private readonly database: DatabaseSync;
  private readonly begin: BeginMode;
  private readonly connection: NodeSqliteConnection;

  constructor({ database, begin }: { database: DatabaseSync; begin: BeginMode }) {
    this.database = database;
    this.begin = begin;
    this.connection = new NodeSqliteConnection(database);
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    return this.connection;
  }

  async beginTransaction(): Promise<void> {
    this.database.exec(`begin ${this.begin}`);
  }

  async commitTransaction(): Promise<void> {
    this.database.exec('commit');
  }

  /** SQLite has already rolled back by itself after some errors, a full disk among them. */
  async rollbackTransaction(): Promise<void> {
    if (this.database.isTransaction) this.database.exec('rollback');
  }

  async releaseConnection(): Promise<void> {}

  async destroy(): Promise<void> {
    this.database.close();
  }
}

class NodeSqliteConnection implements DatabaseConnection {
  private readonly database: DatabaseSync;
  /** In order of last use. */
  private readonly statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.database = database;
  }

  async executeQuery<Result>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Result>> {
    const statement = this.prepare(sql);
    const values = parameters as readonly SQLInputValue[];
    if (statement.columns().length > 0) return { rows: statement.all(...values) as Result[] };
    const { changes } = statement.run(...values);
    return { rows: [], numAffectedRows: BigInt(changes) };
  }

  async *streamQuery<Result>({
    sql,
    parameters,
  }: CompiledQuery): AsyncIterableIterator<QueryResult<Result>> {
    const values = parameters as readonly SQLInputValue[];
    // A statement of its own: a cached one could be used again while this one is half read.
    for (const row of this.database.prepare(sql).iterate(...values)) {
      yield { rows: [row as Result] };
    }
  }

  private prepare(sql: string): StatementSync {
    const statement = this.statements.get(sql) ?? this.database.prepare(sql);
    this.statements.delete(sql);
    this.statements.set(sql, statement);
    if (this.statements.size > preparedStatementsMax) {
      const [oldest] = this.statements.keys();
      this.statements.delete(oldest as string);
    }
    return statement;
  }
}
