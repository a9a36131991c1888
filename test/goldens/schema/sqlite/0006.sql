alter table "usage_records" add column "shared" integer default 0 not null;

alter table "usage_records" add column "cost_micros" integer default 0 not null;

update usage_records set shared = 1
    where agent_id in (select id from agents where project_id is null);

create table "usage_hours" ("project_id" text not null, "hour_ms" integer not null, "endpoint_id" text not null, "model_id" text not null, "api_key_id" text not null, "agent_id" text not null, "tier" text not null, "endpoint_slug" text not null, "requests" integer not null, "succeeded" integer not null, "input_tokens" integer not null, "cached_tokens" integer not null, "output_tokens" integer not null, "cost_micros" integer not null, constraint "usage_hours_by_key" primary key ("project_id", "hour_ms", "endpoint_id", "model_id", "api_key_id", "agent_id", "tier")) strict;

create index "usage_hours_by_hour" on "usage_hours" ("hour_ms");

insert into usage_hours (project_id, hour_ms, endpoint_id, model_id, api_key_id,
      agent_id, tier, endpoint_slug, requests, succeeded, input_tokens, cached_tokens,
      output_tokens, cost_micros)
    select project_id, started_at_ms - started_at_ms % 3600000, endpoint_id, model_id, api_key_id, case when shared = 1 then 'shared' else coalesce(agent_id, '') end, tier,
      max(endpoint_slug), count(*), sum(case when outcome = 'completed' then 1 else 0 end),
      coalesce(sum(input_tokens), 0), coalesce(sum(cached_tokens), 0),
      coalesce(sum(output_tokens), 0), 0
    from usage_records
    group by project_id, started_at_ms - started_at_ms % 3600000, endpoint_id, model_id, api_key_id, case when shared = 1 then 'shared' else coalesce(agent_id, '') end, tier;

create table "agent_hours" ("agent_id" text not null, "hour_ms" integer not null, "project_id" text not null, "up_ms" integer not null, "counted_from_ms" integer not null, "counted_to_ms" integer not null, "price_micros" integer not null, constraint "agent_hours_by_agent" primary key ("agent_id", "hour_ms")) strict;

create index "agent_hours_by_project" on "agent_hours" ("project_id", "hour_ms");

create table "budgets" ("id" text not null primary key, "project_id" text not null references "projects" ("id") on delete cascade, "api_key_id" text not null, "amount_micros" integer not null, "hard_stop" integer not null, "version" integer not null, "updated_at_ms" integer not null) strict;

create unique index "budgets_by_project" on "budgets" ("project_id", "api_key_id");

create table "budget_marks" ("budget_id" text not null references "budgets" ("id") on delete cascade, "month_ms" integer not null, "mark" integer not null, "at_ms" integer not null, constraint "budget_marks_by_budget" primary key ("budget_id", "month_ms", "mark")) strict;

insert into "migrations" ("version", "name", "applied_at") values (6, 'usage', cast(current_timestamp as text));
