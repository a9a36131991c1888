alter table "users" rename column "password_hash" to "needed_hash";

alter table "users" add column "password_hash" text;

update users set password_hash = needed_hash;

alter table "users" drop column "needed_hash";

alter table "users" add column "disabled_at_ms" bigint;

alter table "users" add column "last_sign_in_at_ms" bigint;

alter table "users" add column "version" bigint default 1 not null;

alter table "sessions" add column "method" text default 'password' not null;

create index "users_by_place" on "users" ("created_at_ms", "id");

alter table "projects" add column "version" bigint default 1 not null;

create index "projects_by_place" on "projects" ("created_at_ms", "id");

alter table "api_keys" add column "previous_until_ms" bigint;

alter table "api_keys" add column "requests_per_minute" bigint;

alter table "api_keys" add column "tokens_per_minute" bigint;

alter table "api_keys" add column "tokens_per_day" bigint;

alter table "api_keys" add column "last_used_at_ms" bigint;

alter table "api_keys" add column "rotated_at_ms" bigint;

alter table "api_keys" add column "revoked_at_ms" bigint;

alter table "api_keys" add column "previous_sha256" text;

alter table "api_keys" add column "created_by" text;

alter table "api_keys" add column "version" bigint default 1 not null;

update api_keys set revoked_at_ms = created_at_ms where revoked = 1;

create index "api_keys_by_place" on "api_keys" ("project_id", "created_at_ms", "id");

create table "memberships" ("project_id" text not null references "projects" ("id") on delete cascade, "user_id" text not null references "users" ("id") on delete cascade, "role" text not null, "created_at_ms" bigint not null, constraint "memberships_pair" primary key ("project_id", "user_id"));

create index "memberships_by_user" on "memberships" ("user_id", "project_id");

create index "memberships_by_place" on "memberships" ("project_id", "created_at_ms", "user_id");

insert into memberships (project_id, user_id, role, created_at_ms)
    select projects.id, users.id, 'owner', projects.created_at_ms
    from projects cross join users where users.role = 'admin';

create table "invitations" ("id" text not null primary key, "project_id" text references "projects" ("id") on delete cascade, "project_role" text, "user_role" text not null, "email" text not null, "token_sha256" text not null unique, "created_by" text not null, "created_at_ms" bigint not null, "expires_at_ms" bigint not null, "accepted_at_ms" bigint, "accepted_by" text, "revoked_at_ms" bigint);

create index "invitations_by_place" on "invitations" ("project_id", "created_at_ms", "id");

create table "second_factors" ("user_id" text not null primary key references "users" ("id") on delete cascade, "sealed_secret" text not null, "created_at_ms" bigint not null, "confirmed_at_ms" bigint, "last_step" bigint);

create table "recovery_codes" ("user_id" text not null references "second_factors" ("user_id") on delete cascade, "code_sha256" text not null, constraint "recovery_codes_pair" primary key ("user_id", "code_sha256"));

create table "identities" ("issuer" text not null, "subject" text not null, "user_id" text not null references "users" ("id") on delete cascade, "created_at_ms" bigint not null, constraint "identities_pair" primary key ("issuer", "subject"), constraint "identities_account" unique ("user_id", "issuer"));

insert into "migrations" ("version", "name", "applied_at") values (3, 'people', cast(current_timestamp as text));
