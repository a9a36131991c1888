alter table "endpoints" add column "version" integer default 1 not null;

alter table "endpoints" add column "updated_at_ms" integer default 0 not null;

update "endpoints" set updated_at_ms = created_at_ms;

alter table "models" add column "version" integer default 1 not null;

alter table "models" add column "updated_at_ms" integer default 0 not null;

update "models" set updated_at_ms = created_at_ms;

create table "model_approvals" ("sha256" text not null primary key, "note" text not null, "approved_by" text not null, "created_at_ms" integer not null) strict;

create table "tier_features" ("tier" text not null primary key, "features" text not null, "version" integer not null, "updated_at_ms" integer not null) strict;

create table "region_maps" ("id" text not null primary key check (id = 'near'), "near_groups" text not null, "version" integer not null, "updated_at_ms" integer not null) strict;

insert into region_maps (id, near_groups, version, updated_at_ms)
    values ('near', '[]', 1, 0);

create index "endpoints_by_age" on "endpoints" ("project_id", "created_at_ms", "id");

create index "models_by_age" on "models" ("project_id", "created_at_ms", "id");

create index "join_keys_by_age" on "join_keys" ("project_id", "created_at_ms", "id");

create index "models_by_sha256" on "models" ("sha256");

create index "usage_records_by_start" on "usage_records" ("started_at_ms");

create index "join_keys_by_expiry" on "join_keys" ("expires_at_ms");

create index agents_bound on agents (project_id)
    where bound_endpoint_ids is not null;

insert into "migrations" ("version", "name", "applied_at") values (4, 'catalogue', cast(current_timestamp as text));
