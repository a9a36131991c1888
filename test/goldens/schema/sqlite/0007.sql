create index api_keys_living on api_keys (project_id) where revoked = 0;

create index agents_pending on agents (state_since_ms)
      where state = 'enrolled' and first_linked_at_ms is null;

create index usage_hours_failed on usage_hours (project_id, hour_ms)
      where requests > succeeded;

drop index agents_living_by_age;

create index agents_living_by_age on agents (project_id, created_at_ms, id, name)
      where state <> 'dead';

create index "usage_hours_by_api_key_id" on "usage_hours" ("project_id", "api_key_id", "hour_ms");

create index "usage_hours_by_agent_id" on "usage_hours" ("project_id", "agent_id", "hour_ms");

insert into "migrations" ("version", "name", "applied_at") values (7, 'scale', cast(current_timestamp as text));
