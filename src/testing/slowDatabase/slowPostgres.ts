/** Makes every commit of a PostgreSQL database slow that has written something. */
import { Client } from 'pg';

/**
 * From now on such a commit takes `ms` longer, with all its locks held, as on a slow disk. 0: not
 * any more.
 */
export async function slowPostgres(connectionString: string, ms: number): Promise<void> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    await client.query(`
      create or replace function slow_commit() returns trigger language plpgsql as $$
      begin
        -- Once for each transaction, whatever it wrote.
        if current_setting('xim.slept', true) is distinct from txid_current()::text then
          perform set_config('xim.slept', txid_current()::text, true);
          perform pg_sleep(${ms / 1000});
        end if;
        return null;
      end $$`);
    const { rows } = await client.query<{ name: string }>(
      `select quote_ident(tablename) as name from pg_tables where schemaname = 'public'`,
    );
    for (const { name } of rows) {
      await client.query(`drop trigger if exists slow_commit on ${name}`);
      if (ms === 0) continue;
      await client.query(`
        create constraint trigger slow_commit after insert or update or delete on ${name}
        deferrable initially deferred for each row execute function slow_commit()`);
    }
  } finally {
    await client.end();
  }
}
