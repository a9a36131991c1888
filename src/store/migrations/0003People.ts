/**
 * People complete: accounts that can be disabled or have no password, memberships, invitations,
 * second factors, identities of OpenID Connect; and API keys that rotate and carry a quota.
 */
import { sql } from 'kysely';
import type { Migration, MigrationSchema } from './migration.ts';

export const people: Migration = {
  version: 3,
  name: 'people',
  async up(schema) {
    await extendUsers(schema);
    await extendProjects(schema);
    await extendApiKeys(schema);
    await createMemberships(schema);
    await createInvitations(schema);
    await createSecondFactors(schema);
    await createIdentities(schema);
  },
};

async function extendUsers({ db, integer }: MigrationSchema): Promise<void> {
  // A password becomes optional. SQLite cannot loosen a column, so a new one takes its place.
  await db.schema.alterTable('users').renameColumn('password_hash', 'needed_hash').execute();
  await db.schema.alterTable('users').addColumn('password_hash', 'text').execute();
  await sql`update users set password_hash = needed_hash`.execute(db);
  await db.schema.alterTable('users').dropColumn('needed_hash').execute();
  await db.schema.alterTable('users').addColumn('disabled_at_ms', integer).execute();
  await db.schema.alterTable('users').addColumn('last_sign_in_at_ms', integer).execute();
  await db.schema
    .alterTable('users')
    .addColumn('version', integer, (column) => column.notNull().defaultTo(1))
    .execute();
  await db.schema
    .alterTable('sessions')
    .addColumn('method', 'text', (column) => column.notNull().defaultTo('password'))
    .execute();
  await createPlaceIndex(db, { table: 'users', columns: ['created_at_ms', 'id'] });
}

async function extendProjects({ db, integer }: MigrationSchema): Promise<void> {
  await db.schema
    .alterTable('projects')
    .addColumn('version', integer, (column) => column.notNull().defaultTo(1))
    .execute();
  await createPlaceIndex(db, { table: 'projects', columns: ['created_at_ms', 'id'] });
}

async function extendApiKeys({ db, integer }: MigrationSchema): Promise<void> {
  const numbers = [
    'previous_until_ms',
    'requests_per_minute',
    'tokens_per_minute',
    'tokens_per_day',
    'last_used_at_ms',
    'rotated_at_ms',
    'revoked_at_ms',
  ];
  for (const name of numbers) {
    await db.schema.alterTable('api_keys').addColumn(name, integer).execute();
  }
  for (const name of ['previous_sha256', 'created_by']) {
    await db.schema.alterTable('api_keys').addColumn(name, 'text').execute();
  }
  await db.schema
    .alterTable('api_keys')
    .addColumn('version', integer, (column) => column.notNull().defaultTo(1))
    .execute();
  await sql`update api_keys set revoked_at_ms = created_at_ms where revoked = 1`.execute(db);
  const columns = ['project_id', 'created_at_ms', 'id'];
  await createPlaceIndex(db, { table: 'api_keys', columns });
}

async function createMemberships({ db, createTable, integer }: MigrationSchema): Promise<void> {
  await createTable('memberships')
    .addColumn('project_id', 'text', (column) =>
      column.notNull().references('projects.id').onDelete('cascade'),
    )
    .addColumn('user_id', 'text', (column) =>
      column.notNull().references('users.id').onDelete('cascade'),
    )
    .addColumn('role', 'text', (column) => column.notNull())
    .addColumn('created_at_ms', integer, (column) => column.notNull())
    .addPrimaryKeyConstraint('memberships_pair', ['project_id', 'user_id'])
    .execute();
  await db.schema
    .createIndex('memberships_by_user')
    .on('memberships')
    .columns(['user_id', 'project_id'])
    .execute();
  const columns = ['project_id', 'created_at_ms', 'user_id'];
  await createPlaceIndex(db, { table: 'memberships', columns });
  // Until now operators alone have made and owned projects.
  await sql`insert into memberships (project_id, user_id, role, created_at_ms)
    select projects.id, users.id, 'owner', projects.created_at_ms
    from projects cross join users where users.role = 'admin'`.execute(db);
}

async function createInvitations({ db, createTable, integer }: MigrationSchema): Promise<void> {
  await createTable('invitations')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('project_id', 'text', (column) =>
      column.references('projects.id').onDelete('cascade'),
    )
    .addColumn('project_role', 'text')
    .addColumn('user_role', 'text', (column) => column.notNull())
    .addColumn('email', 'text', (column) => column.notNull())
    .addColumn('token_sha256', 'text', (column) => column.notNull().unique())
    .addColumn('created_by', 'text', (column) => column.notNull())
    .addColumn('created_at_ms', integer, (column) => column.notNull())
    .addColumn('expires_at_ms', integer, (column) => column.notNull())
    .addColumn('accepted_at_ms', integer)
    .addColumn('accepted_by', 'text')
    .addColumn('revoked_at_ms', integer)
    .execute();
  const columns = ['project_id', 'created_at_ms', 'id'];
  await createPlaceIndex(db, { table: 'invitations', columns });
}

async function createSecondFactors({ createTable, integer }: MigrationSchema): Promise<void> {
  await createTable('second_factors')
    .addColumn('user_id', 'text', (column) =>
      column.primaryKey().notNull().references('users.id').onDelete('cascade'),
    )
    .addColumn('sealed_secret', 'text', (column) => column.notNull())
    .addColumn('created_at_ms', integer, (column) => column.notNull())
    .addColumn('confirmed_at_ms', integer)
    .addColumn('last_step', integer)
    .execute();
  await createTable('recovery_codes')
    .addColumn('user_id', 'text', (column) =>
      column.notNull().references('second_factors.user_id').onDelete('cascade'),
    )
    .addColumn('code_sha256', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('recovery_codes_pair', ['user_id', 'code_sha256'])
    .execute();
}

async function createIdentities({ createTable, integer }: MigrationSchema): Promise<void> {
  await createTable('identities')
    .addColumn('issuer', 'text', (column) => column.notNull())
    .addColumn('subject', 'text', (column) => column.notNull())
    .addColumn('user_id', 'text', (column) =>
      column.notNull().references('users.id').onDelete('cascade'),
    )
    .addColumn('created_at_ms', integer, (column) => column.notNull())
    .addPrimaryKeyConstraint('identities_pair', ['issuer', 'subject'])
    // One person of a provider is one account, and the other way round.
    .addUniqueConstraint('identities_account', ['user_id', 'issuer'])
    .execute();
}

/** What a page of a list is read along. */
async function createPlaceIndex(
  db: MigrationSchema['db'],
  { table, columns }: { table: string; columns: string[] },
): Promise<void> {
  await db.schema.createIndex(`${table}_by_place`).on(table).columns(columns).execute();
}
