/**
 * The two databases of the bench, empty at first, with what the same work costs without a server:
 * one page of a list by its bare query, and one row by its bare commit.
 */
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Client } from 'pg';
import { startPostgres } from '../../src/testing/database/postgres.ts';
import type { DatabaseName } from './plan.ts';
import { seedPostgres, seedSqlite, type SeedPlan } from './seed.ts';

export interface BenchDatabase {
  /** What the server is started with. */
  serverArgs: string[];
  seed(plan: SeedPlan): Promise<void>;
  /** Opens what `page` and `commit` run on; the database is seeded. */
  openBare(): Promise<Bare>;
  close(): Promise<void>;
}

export interface Bare {
  /** The first page of the large project's agents. */
  page(): Promise<void>;
  /** One row into a table of its own, to the disk. */
  commit(): Promise<void>;
  close(): Promise<void>;
}

export async function openBenchDatabase(
  name: DatabaseName,
  dataDir: string,
): Promise<BenchDatabase> {
  return name === 'sqlite' ? sqlite(dataDir) : postgres();
}

const firstPage = `select * from agents where state <> 'dead' and project_id =
  (select id from projects where slug = 'default') order by created_at_ms, id limit 51`;
const commitTable = 'create table bare_commits (id text primary key, value text)';
const newRow = (number: number): string =>
  `insert into bare_commits values ('row-${number}', '${'x'.repeat(200)}')`;

function sqlite(dataDir: string): BenchDatabase {
  const file = path.join(dataDir, 'xim.db');
  return {
    serverArgs: [],
    seed: (plan) => seedSqlite(file, plan),
    openBare() {
      const pages = new DatabaseSync(file, { readOnly: true });
      const page = pages.prepare(firstPage);
      // A file of its own: in the server's it would wait for the server.
      const commits = new DatabaseSync(path.join(dataDir, 'bare.db'));
      commits.exec('pragma journal_mode = wal; pragma synchronous = full');
      commits.exec(commitTable);
      let rows = 0;
      return Promise.resolve({
        page: () => Promise.resolve(void page.all()),
        commit: () => Promise.resolve(commits.exec(newRow((rows += 1)))),
        close() {
          pages.close();
          commits.close();
          return Promise.resolve();
        },
      });
    },
    close: () => Promise.resolve(),
  };
}

async function postgres(): Promise<BenchDatabase> {
  const cluster = await startPostgres({ durable: true });
  if (cluster.kind === 'missing') throw new Error(`PostgreSQL: ${cluster.reason}`);
  const url = await cluster.createDatabase();
  return {
    serverArgs: ['--database-url', url],
    seed: (plan) => seedPostgres(url, plan),
    async openBare() {
      const client = new Client({ connectionString: url });
      await client.connect();
      await client.query(commitTable);
      let rows = 0;
      return {
        page: async () => void (await client.query({ name: 'page', text: firstPage })),
        commit: async () => void (await client.query(newRow((rows += 1)))),
        close: () => client.end(),
      };
    },
    close: () => cluster.stop(),
  };
}
