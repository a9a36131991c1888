create table "users" ("id" text not null primary key, "email" text not null unique, "password_hash" text not null, "role" text not null, "must_change_password" integer not null, "created_at_ms" integer not null) strict;

create table "sessions" ("token_sha256" text not null primary key, "user_id" text not null references "users" ("id") on delete cascade, "created_at_ms" integer not null, "expires_at_ms" integer not null) strict;

create table "projects" ("id" text not null primary key, "slug" text not null unique, "name" text not null, "shared_access" integer not null, "created_at_ms" integer not null) strict;

create table "settings" ("name" text not null primary key, "value" text not null) strict;

create index "sessions_by_user" on "sessions" ("user_id", "expires_at_ms");

create table "models" ("id" text not null primary key, "project_id" text references "projects" ("id"), "name" text not null, "source" text not null, "format" text not null, "task" text not null, "size_bytes" integer, "sha256" text, "context_length" integer, "created_at_ms" integer not null) strict;

create table "endpoints" ("id" text not null primary key, "project_id" text not null references "projects" ("id"), "slug" text not null, "model_id" text not null references "models" ("id"), "tier" text not null, "active" integer not null, "fallback_enabled" integer not null, "fallback_after_ms" integer not null, "fallback_tier" text, "region" text, "exclusive" integer not null, "minimum_isolation" text, "resume" integer not null, "queue_timeout_ms" integer not null, "created_at_ms" integer not null, constraint "endpoints_slug" unique ("project_id", "slug")) strict;

create index "models_by_project_id" on "models" ("project_id");

create index "endpoints_by_model_id" on "endpoints" ("model_id");

create table "api_keys" ("id" text not null primary key, "project_id" text not null references "projects" ("id"), "name" text not null, "sha256" text not null unique, "last_four" text not null, "scopes" text not null, "endpoint_id" text references "endpoints" ("id"), "expires_at_ms" integer, "ip_allow_list" text not null, "revoked" integer not null, "created_at_ms" integer not null) strict;

create index "api_keys_by_project_id" on "api_keys" ("project_id");

create index "api_keys_by_endpoint_id" on "api_keys" ("endpoint_id");

create table "join_keys" ("id" text not null primary key, "project_id" text references "projects" ("id"), "secret_sha256" text not null, "name" text not null, "region" text not null, "supported_tiers" text, "storage_limit_bytes" integer, "max_uses" integer not null, "uses" integer not null, "created_at_ms" integer not null, "expires_at_ms" integer not null, "revoked_at_ms" integer, "created_by" text not null, constraint "join_keys_uses" check (uses >= 0 and uses <= max_uses)) strict;

create index "join_keys_by_project_id" on "join_keys" ("project_id");

create table "agents" ("id" text not null primary key, "worker_id" text not null, "name" text not null, "description" text not null, "project_id" text references "projects" ("id"), "join_key_id" text not null, "public_key" text not null, "region" text not null, "state" text not null, "state_since_ms" integer not null, "suspended_reason" text, "generation" integer not null, "token_hash" text not null, "previous_token_hash" text, "supported_tiers" text, "effective_tiers" text not null, "max_concurrent_requests" integer not null, "bound_endpoint_ids" text, "storage_limit_bytes" integer, "facts" text not null, "first_linked_at_ms" integer, "last_seen_at_ms" integer, "created_at_ms" integer not null, constraint "agents_enrollment" unique ("join_key_id", "public_key")) strict;

create index "agents_by_project_id" on "agents" ("project_id");

create unique index agents_living_name
    on agents (coalesce(project_id, ''), name) where state <> 'dead';

create table "agent_events" ("id" integer primary key autoincrement, "agent_id" text not null references "agents" ("id") on delete cascade, "at_ms" integer not null, "kind" text not null, "actor" text not null, "detail" text not null) strict;

create index "agent_events_by_agent" on "agent_events" ("agent_id", "id");

create table "usage_records" ("request_id" text not null primary key, "project_id" text not null, "endpoint_id" text not null, "endpoint_slug" text not null, "api_key_id" text not null, "model_id" text not null, "agent_id" text, "tier" text not null, "started_at_ms" integer not null, "input_tokens" integer, "cached_tokens" integer, "output_tokens" integer, "ttft_ms" integer, "latency_ms" integer not null, "queue_ms" integer not null, "status" integer not null, "outcome" text not null, "stream" integer not null, "usage_clamped" integer not null) strict;

create index "usage_records_by_project" on "usage_records" ("project_id", "started_at_ms", "request_id");

create table "changes" ("revision" integer not null primary key, "kind" text not null, "entity_id" text not null) strict;

create table "change_head" ("id" integer not null primary key check (id = 1), "revision" integer not null) strict;

insert into change_head (id, revision) values (1, 0);

insert into "migrations" ("version", "name", "applied_at") values (1, 'foundation', cast(current_timestamp as text));
