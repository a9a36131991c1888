/**
 * Fills the database of a server that has started once: by statements that make all rows at once,
 * written so that both databases take them.
 *
 * A fifth of everything is in the project `default`, which is the large one; the rest is shared out
 * among many others. Ids, hashes and texts are as long as real ones.
 */
import { DatabaseSync } from 'node:sqlite';
import { Client } from 'pg';

export interface SeedPlan {
  agents: number;
  apiKeys: number;
  usageRows: number;
}

/** What the first start has made. */
interface First {
  projectId: string;
  endpointId: string;
  modelId: string;
}

/** Keys that open something: a project may have so many of them, and some room is left. */
const livingKeysPerProject = 500;
const agentsOfOthers = 400;
const largeShare = 5;
const usageSpanMs = 30 * 86_400_000;

type Dialect = 'sqlite' | 'postgres';

export async function seedSqlite(file: string, plan: SeedPlan): Promise<void> {
  const database = new DatabaseSync(file);
  const first = database.prepare(firstRows).get() as unknown as First;
  database.exec('pragma synchronous = off');
  for (const statement of statements('sqlite', plan, first)) database.exec(statement);
  database.close();
  await Promise.resolve();
}

export async function seedPostgres(connectionString: string, plan: SeedPlan): Promise<void> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    const { rows } = await client.query<First>(firstRows);
    for (const statement of statements('postgres', plan, rows[0] as First)) {
      await client.query(statement);
    }
  } finally {
    await client.end();
  }
}

const firstRows = `select projects.id as "projectId", endpoints.id as "endpointId",
    endpoints.model_id as "modelId"
  from projects join endpoints on endpoints.project_id = projects.id
  where projects.slug = 'default' and endpoints.slug = 'own'`;

function statements(dialect: Dialect, plan: SeedPlan, first: First): string[] {
  const parts: Parts = { ...words[dialect], ...plan, ...first, nowMs: Date.now() };
  return [
    'begin',
    ...projects(parts),
    ...apiKeys(parts),
    ...agents(parts),
    ...usage(parts),
    'commit',
    'analyze',
  ];
}

/** How the databases say what they say differently. */
const words = {
  sqlite: {
    digits: (number: string, width: number) => `printf('%0${width}d', ${number})`,
    hash: (number: string) => `printf('%064x', ${number} * 7919)`,
  },
  postgres: {
    digits: (number: string, width: number) => `lpad((${number})::text, ${width}, '0')`,
    hash: (number: string) => `lpad(to_hex((${number})::bigint * 7919), 64, '0')`,
  },
};

type Parts = (typeof words)['sqlite'] & SeedPlan & First & { nowMs: number };

/** Rows 1 to `count` as `n(i)`. */
const numbers = (count: number): string =>
  `with recursive n(i) as (
    select cast(1 as bigint) union all select i + 1 from n where i < ${count}
  )`;

const othersOf = ({ agents: count }: SeedPlan): number =>
  Math.max(1, Math.ceil((count - count / largeShare) / agentsOfOthers));

/** The project of the i-th thing: every fifth is in `default`. */
function projectOf(parts: Parts, shares: { large: boolean } = { large: true }): string {
  const { digits, projectId } = parts;
  const other = `'proj_bench' || ${digits(`i % ${othersOf(parts)}`, 16)}`;
  return shares.large
    ? `case when i % ${largeShare} = 0 then '${projectId}' else ${other} end`
    : other;
}

function projects(parts: Parts): string[] {
  const { digits, nowMs, modelId } = parts;
  const id = `'proj_bench' || ${digits('i - 1', 16)}`;
  return [
    `insert into projects (id, slug, name, shared_access, version, created_at_ms)
     ${numbers(othersOf(parts))}
     select ${id}, 'bench-' || i, 'Bench ' || i, 1, 1, ${nowMs} + i from n`,
    `insert into memberships (project_id, user_id, role, created_at_ms)
     ${numbers(othersOf(parts))}
     select ${id}, (select id from users limit 1), 'owner', ${nowMs} from n`,
    `insert into endpoints (id, project_id, slug, model_id, tier, active, fallback_enabled,
       fallback_after_ms, exclusive, resume, queue_timeout_ms, created_at_ms)
     ${numbers(othersOf(parts))}
     select 'ep_bench' || ${digits('i', 18)}, ${id}, 'own', '${modelId}', 'self_hosted', 1, 0, 0, 0,
       0, 30000, ${nowMs} from n`,
  ];
}

/** Those of `default` that would be too many are revoked, as they are after some years. */
function apiKeys(parts: Parts): string[] {
  const { digits, hash, nowMs, projectId } = parts;
  const revoked = `case when i % ${largeShare} = 0 and i > ${livingKeysPerProject * largeShare}
    then 1 else 0 end`;
  return [
    `insert into api_keys (id, project_id, name, sha256, last_four, scopes, ip_allow_list, revoked,
       revoked_at_ms, version, created_at_ms, created_by)
     ${numbers(parts.apiKeys)}
     select 'key_' || ${digits('i', 26)}, ${projectOf(parts)}, 'key ' || i, ${hash('i')}, 'abcd',
       '["inference"]', '[]', ${revoked}, case when ${revoked} = 1 then ${nowMs} end, 1,
       ${nowMs} - i, 'user:' || ${digits('i % 100', 20)} from n`,
    `insert into audit_events (at_ms, actor, action, target_kind, target_id, project_id, changes)
     select created_at_ms, created_by, 'api_key.create', 'api_key', id, project_id, '{}'
     from api_keys where project_id <> '${projectId}' or revoked = 1`,
  ];
}

function agents(parts: Parts): string[] {
  const { digits, hash, nowMs } = parts;
  const facts = `{"hostname":"machine","os":"Debian GNU/Linux 13","arch":"x86_64","node":"24.0.0",
    "cpu":"AMD EPYC 9454P 48-Core Processor","cores":96,"memory_bytes":540000000000,"gpus":[]}`;
  return [
    `insert into agents (id, worker_id, name, description, project_id, join_key_id, public_key,
       region, state, state_since_ms, generation, token_hash, previous_token_hash, supported_tiers,
       effective_tiers, max_concurrent_requests, facts, first_linked_at_ms, last_seen_at_ms,
       created_at_ms)
     ${numbers(parts.agents)}
     select '00000000-0000-4000-8000-' || ${digits('i', 12)}, 'wrk_' || ${digits('i', 26)},
       'machine-' || ${digits('i', 6)}, '', ${projectOf(parts)}, 'jk_' || ${digits('i', 26)},
       ${digits('i', 43)}, 'eu-central-1', case when i % 20 = 7 then 'dead' else 'enrolled' end,
       ${nowMs} - i, 5, ${hash('i')}, ${hash('i + 1')}, null,
       '["self_hosted","cpu_amd_optimized"]', 0, '${facts}',
       ${nowMs} - i, ${nowMs} - i, ${nowMs} - i from n`,
    `insert into agent_events (agent_id, at_ms, kind, actor, detail)
     select id, created_at_ms, 'enrolled', 'agent', 'with key bench' from agents`,
  ];
}

function usage(parts: Parts): string[] {
  const { digits, nowMs, endpointId, modelId, usageRows } = parts;
  const startedMs = `${nowMs} - i * ${Math.floor(usageSpanMs / usageRows)}`;
  const hour = 'started_at_ms - started_at_ms % 3600000';
  return [
    `insert into usage_records (request_id, project_id, endpoint_id, endpoint_slug, api_key_id,
       model_id, agent_id, tier, started_at_ms, input_tokens, cached_tokens, output_tokens, ttft_ms,
       latency_ms, queue_ms, status, outcome, stream, usage_clamped, shared, cost_micros)
     ${numbers(usageRows)}
     select 'req_' || ${digits('i', 26)}, ${projectOf(parts)}, '${endpointId}', 'own',
       'key_' || ${digits('i % 500', 26)}, '${modelId}',
       '00000000-0000-4000-8000-' || ${digits('i % 200', 12)}, 'self_hosted', ${startedMs}, 1200, 0,
       340, 56, 4789, 1, 200, 'completed', 1, 0, 0, 0 from n`,
    `insert into usage_hours (project_id, hour_ms, endpoint_id, model_id, api_key_id, agent_id,
       tier, endpoint_slug, requests, succeeded, input_tokens, cached_tokens, output_tokens,
       cost_micros)
     select project_id, ${hour}, endpoint_id, model_id, api_key_id, agent_id, tier, 'own', count(*),
       count(*), sum(input_tokens), 0, sum(output_tokens), 0
     from usage_records
     group by project_id, ${hour}, endpoint_id, model_id, api_key_id, agent_id, tier`,
  ];
}
