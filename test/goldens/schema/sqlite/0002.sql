create table "audit_events" ("id" integer primary key autoincrement, "at_ms" integer not null, "actor" text not null, "action" text not null, "target_kind" text not null, "target_id" text not null, "project_id" text, "request_id" text, "address" text, "changes" text not null) strict;

create index "audit_events_by_project_id" on "audit_events" ("project_id", "id");

create index "audit_events_by_actor" on "audit_events" ("actor", "id");

create index "audit_events_by_target_id" on "audit_events" ("target_id", "id");

create index "audit_events_by_action" on "audit_events" ("action", "id");

create index "audit_events_by_time" on "audit_events" ("at_ms", "id");

create table "idempotency_keys" ("caller" text not null, "key" text not null, "claim_id" text not null, "request_sha256" text not null, "claimed_at_ms" integer not null, "expires_at_ms" integer not null, "changed" integer not null, "status" integer, "sealed_body" text, constraint "idempotency_keys_pk" primary key ("caller", "key")) strict;

create index "idempotency_keys_by_expiry" on "idempotency_keys" ("expires_at_ms");

insert into "migrations" ("version", "name", "applied_at") values (2, 'frame', cast(current_timestamp as text));
