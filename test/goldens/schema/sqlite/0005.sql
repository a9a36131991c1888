alter table "agents" add column "version" integer default 1 not null;

alter table "agents" add column "stop_mode" text default 'cut' not null;

create index agents_living_by_age on agents (project_id, created_at_ms, id)
    where state <> 'dead';

create index agents_dead_by_age on agents (project_id, created_at_ms, id)
    where state = 'dead';

create table "agent_health" ("agent_id" text not null, "at_ms" integer not null, "in_flight" real, "slots" real, "waiting" real, "tokens_per_second" real, "prompt_tokens_per_second" real, "kv_cache_use" real, "accelerator_use" real, "accelerator_memory_used_bytes" real, "accelerator_memory_total_bytes" real, "temperature_c" real, "disk_free_bytes" real, "disk_total_bytes" real, "memory_available_bytes" real, "memory_total_bytes" real, constraint "agent_health_by_agent" primary key ("agent_id", "at_ms")) strict , without rowid;

create index "agent_health_by_time" on "agent_health" ("at_ms");

insert into "migrations" ("version", "name", "applied_at") values (5, 'agents', cast(current_timestamp as text));
