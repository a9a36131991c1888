/**
 * Registers tests once for each database: `await onBothDatabases((newDatabase) => { … })`, where
 * `newDatabase` gives what the harnesses take.
 */
import { after, describe } from 'node:test';
import { startPostgres } from './postgres.ts';

export type NewDatabase = () => Promise<{ url?: string }>;

export async function onBothDatabases(register: (newDatabase: NewDatabase) => void): Promise<void> {
  const postgres = await startPostgres();
  after(async () => {
    if (postgres.kind === 'started') await postgres.stop();
  });
  // Absent: the harness makes an embedded one.
  void describe('on SQLite', () => register(() => Promise.resolve({})));
  const skip = postgres.kind === 'missing' ? postgres.reason : false;
  void describe('on PostgreSQL', { skip }, () =>
    register(async () => {
      if (postgres.kind === 'missing') throw new Error(postgres.reason);
      return { url: await postgres.createDatabase() };
    }),
  );
}
