/** What requests come to, and the list of them. */
import type { requestContracts } from '../../api/control/requests.ts';
import type { UsageAnswer, UsageGroupAnswer, usageContracts } from '../../api/control/usage.ts';
import type { Control } from '../../control/control.ts';
import type { UsageGroupView, UsageSummaryView } from '../../control/usage/usageSummary.ts';
import type { UsageWish } from '../../control/usage/usageWish.ts';
import { costText } from '../../domain/metering/price.ts';
import type { UsageDimension } from '../../domain/metering/usageDimensions.ts';
import { csvLine } from '../../lib/text/csv.ts';
import type { Clock } from '../../lib/clock.ts';
import { budgetAnswer } from './budgetRoutes.ts';
import { pageAnswer, type ControlCall } from '../control/controlCall.ts';
import { csvAnswer } from './csvAnswer.ts';
import { isoTime } from '../control/isoTime.ts';
import { requestAnswer } from './requestAnswer.ts';
import { requestCsv, requestCsvHead } from './requestCsv.ts';
import type { TopicHandlers } from '../control/topicHandlers.ts';
import { csvPageRows } from '../limits.ts';

type Contracts = typeof usageContracts & Pick<typeof requestContracts, 'requests'>;
type SummaryCall = Pick<ControlCall<Contracts['usage']>, 'caller' | 'query' | 'part'>;

export function createUsageRoutes(options: {
  control: Pick<Control, 'usageSummary' | 'recentRequests'>;
  clock: Clock;
}): TopicHandlers<Contracts> {
  const { control, clock } = options;
  const summaryOf = ({ caller, query, part }: SummaryCall) =>
    control.usageSummary({
      caller,
      project: part('project'),
      wish: wishOf(query),
      groupBy: query.group_by,
    });
  return {
    async requests(call) {
      const { caller, query, page } = call;
      const wish = { ...wishOf(query), outcome: query.outcome };
      const project = call.part('project');
      const outcome = await control.recentRequests({ caller, project, wish, page });
      if (!outcome.ok) return call.refuse(outcome);
      return call.json(pageAnswer(outcome.requests, requestAnswer));
    },
    async usage(call) {
      const outcome = await summaryOf(call);
      return outcome.ok
        ? call.json(usageAnswer(outcome.summary, clock.now()))
        : call.refuse(outcome);
    },
    async usageCsv(call) {
      const outcome = await summaryOf(call);
      if (!outcome.ok) return call.refuse(outcome);
      return csvAnswer({ name: 'usage', first: summaryCsv(outcome.summary) });
    },
    async requestsCsv(call) {
      const { caller, query } = call;
      const wish = { ...wishOf(query), outcome: query.outcome };
      const project = call.part('project');
      const read = (after: readonly (string | number)[] | null) => {
        const page = { after, limit: csvPageRows };
        return control.recentRequests({ caller, project, wish, page });
      };
      const first = await read(null);
      if (!first.ok) return call.refuse(first);
      let { next } = first.requests;
      const more = async (): Promise<string | undefined> => {
        if (next === null) return undefined;
        const page = await read(next);
        // Whoever may see no more gets a file that breaks off, not one that looks whole.
        if (!page.ok) throw new Error(`requests can be read no more: ${page.reason}`);
        ({ next } = page.requests);
        return requestCsv(page.requests.items);
      };
      const text = requestCsvHead + requestCsv(first.requests.items);
      return csvAnswer({ name: 'requests', first: text, more });
    },
  };
}

function wishOf(query: {
  from?: string | undefined;
  to?: string | undefined;
  endpoint?: string | undefined;
  model?: string | undefined;
  api_key?: string | undefined;
  agent?: string | undefined;
  tier?: string | undefined;
}): UsageWish {
  return {
    fromMs: query.from === undefined ? undefined : Date.parse(query.from),
    toMs: query.to === undefined ? undefined : Date.parse(query.to),
    endpoint: query.endpoint,
    modelId: query.model,
    apiKeyId: query.api_key,
    agentId: query.agent,
    tier: query.tier,
  };
}

function usageAnswer(summary: UsageSummaryView, nowMs: number): UsageAnswer {
  const { fromMs, toMs, by, total, groups, more, budget } = summary;
  return {
    from: isoTime(fromMs),
    to: isoTime(toMs),
    group_by: by,
    total: sumsAnswer(total),
    data: groups.map((group) => ({ ...keysOf(group, by), ...sumsAnswer(group) })),
    truncated: more,
    budget: budget && budgetAnswer(budget, nowMs),
  };
}

function sumsAnswer(sums: UsageSummaryView['total']): UsageAnswer['total'] {
  return {
    requests: sums.requests,
    succeeded: sums.succeeded,
    input_tokens: sums.inputTokens,
    cached_tokens: sums.cachedTokens,
    output_tokens: sums.outputTokens,
    cost: costText(sums.costMicros),
    agent_seconds: Math.round(sums.agentMs / 1000),
    agent_cost: costText(sums.agentCostMicros),
  };
}

type Keys = Omit<UsageGroupAnswer, keyof UsageAnswer['total']>;

const keyAnswers: Readonly<Record<UsageDimension, (group: UsageGroupView) => Keys>> = {
  hour: ({ atMs = 0 }) => ({ hour: isoTime(atMs) }),
  day: ({ atMs = 0 }) => ({ day: isoTime(atMs).slice(0, 10) }),
  endpoint: ({ endpointSlug = '', endpointId = '' }) => ({
    endpoint: endpointSlug,
    endpoint_id: endpointId,
  }),
  model: ({ modelName, modelId = '' }) => ({ model: modelName, model_id: modelId }),
  api_key: ({ apiKeyName, apiKeyId = '' }) => ({ api_key: apiKeyName, api_key_id: apiKeyId }),
  agent: ({ agentName, agentId = '' }) => ({ agent: agentName, agent_id: ownOrNull(agentId) }),
  tier: ({ tier = '' }) => ({ tier }),
};

/** Shared agents have no id to a project, and nobody has none at all. */
const ownOrNull = (agentId: string): string | null =>
  agentId === '' || agentId === 'shared' ? null : agentId;

function keysOf(group: UsageGroupView, by: readonly UsageDimension[]): Keys {
  return Object.assign({}, ...by.map((dimension) => keyAnswers[dimension](group))) as Keys;
}

const sumNames = [
  'requests',
  'succeeded',
  'input_tokens',
  'cached_tokens',
  'output_tokens',
  'cost',
  'agent_seconds',
  'agent_cost',
] as const;

const keyNames: Readonly<Record<UsageDimension, readonly (keyof Keys)[]>> = {
  hour: ['hour'],
  day: ['day'],
  endpoint: ['endpoint', 'endpoint_id'],
  model: ['model', 'model_id'],
  api_key: ['api_key', 'api_key_id'],
  agent: ['agent', 'agent_id'],
  tier: ['tier'],
};

/** One line for each group; without groups the totals. */
function summaryCsv(summary: UsageSummaryView): string {
  const { by, groups, total } = summary;
  const names = [...by.flatMap((dimension) => keyNames[dimension]), ...sumNames] as const;
  const rows: Partial<UsageGroupAnswer>[] =
    by.length === 0
      ? [sumsAnswer(total)]
      : groups.map((group) => ({ ...keysOf(group, by), ...sumsAnswer(group) }));
  return [names, ...rows.map((row) => names.map((name) => row[name]))].map(csvLine).join('');
}
