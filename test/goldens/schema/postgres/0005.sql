alter table "agents" add column "version" bigint default 1 not null;

alter table "agents" add column "stop_mode" text default 'cut' not null;

create index agents_living_by_age on agents (project_id, created_at_ms, id)
    where state <> 'dead';

create index agents_dead_by_age on agents (project_id, created_at_ms, id)
    where state = 'dead';

create table "agent_health" ("agent_id" text not null, "at_ms" bigint not null, "in_flight" double precision, "slots" double precision, "waiting" double precision, "tokens_per_second" double precision, "prompt_tokens_per_second" double precision, "kv_cache_use" double precision, "accelerator_use" double precision, "accelerator_memory_used_bytes" double precision, "accelerator_memory_total_bytes" double precision, "temperature_c" double precision, "disk_free_bytes" double precision, "disk_total_bytes" double precision, "memory_available_bytes" double precision, "memory_total_bytes" double precision, constraint "agent_health_by_agent" primary key ("agent_id", "at_ms"));

create index "agent_health_by_time" on "agent_health" ("at_ms");

insert into "migrations" ("version", "name", "applied_at") values (5, 'agents', cast(current_timestamp as text));
