/** The pool of connections as Kysely wants it, with the driver's errors made ours. */
import { DatabaseError, Pool, types } from 'pg';
import type { ClientConfig } from 'pg';
import type { PostgresPool } from 'kysely';
import type { Logger } from '../../lib/log.ts';
import {
  postgresConnections,
  postgresConnectTimeoutMs,
  postgresIdleInTransactionMs,
  postgresStatementTimeoutMs,
} from '../limits.ts';
import { toConnectionError } from './postgresErrors.ts';

const int8 = 20;

/** What every connection has in common. */
export function clientConfig(connectionString: string): ClientConfig {
  return {
    connectionString,
    application_name: 'xim',
    connectionTimeoutMillis: postgresConnectTimeoutMs,
    keepAlive: true,
    types: {
      // The driver gives 64-bit integers as text; ours stay below 2⁵³ (tables.ts, T1).
      getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
        oid === int8 ? Number : types.getTypeParser(oid, format)) as typeof types.getTypeParser,
    },
  };
}

export function createPostgresPool(options: {
  connectionString: string;
  log: Logger;
}): PostgresPool {
  const { connectionString, log } = options;
  const pool = new Pool({
    ...clientConfig(connectionString),
    max: postgresConnections,
    statement_timeout: postgresStatementTimeoutMs,
    idle_in_transaction_session_timeout: postgresIdleInTransactionMs,
  });
  // A connection may break at any time, also while a call holds it: the call hears of it by itself.
  const onError = (err: Error): void => log.warn({ err }, 'a connection to PostgreSQL broke');
  pool.on('connect', (client) => void client.on('error', onError));
  pool.on('error', () => undefined);
  return {
    options: pool.options,
    end: () => pool.end(),
    async connect() {
      const client = await pool.connect().catch((error: unknown) => {
        throw toConnectionError(error);
      });
      const query = async (sql: string, parameters: readonly unknown[]): Promise<unknown> => {
        try {
          return await client.query(sql, [...parameters]);
        } catch (error) {
          throw error instanceof DatabaseError ? error : toConnectionError(error);
        }
      };
      return {
        query: query as Awaited<ReturnType<PostgresPool['connect']>>['query'],
        release: () => client.release(),
      };
    },
  };
}
