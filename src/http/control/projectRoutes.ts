/** Status of the server; endpoints and last requests of a project. */
import type { EndpointAnswer, endpointContracts } from '../../api/control/endpoints.ts';
import { openApiDocument } from '../../api/openapi/openApiDocument.ts';
import type { RequestAnswer, requestContracts } from '../../api/control/requests.ts';
import type { StatusAnswer, statusContracts } from '../../api/control/status.ts';
import type { Control } from '../../control/control.ts';
import type { EndpointView, RequestView } from '../../control/platform/projects.ts';
import type { Caller } from '../../control/principal.ts';
import type { ProjectEntry } from '../../domain/directory.ts';
import type { Clock } from '../../lib/clock.ts';
import { pageAnswer } from './controlCall.ts';
import { isoTime } from './isoTime.ts';
import type { LiveView } from './liveView.ts';
import type { TopicHandlers } from './topicHandlers.ts';

/** What an operator should know, e.g. that shared agents run without a sandbox. */
export type Notices = () => StatusAnswer['notices'];

export interface ProjectAnswers {
  status(caller: Caller): Promise<StatusAnswer>;
  endpoints(project: ProjectEntry, views: readonly EndpointView[]): EndpointAnswer[];
  requests(views: readonly RequestView[]): RequestAnswer[];
}

export interface ProjectAnswerOptions {
  control: Pick<Control, 'projects'>;
  router: LiveView;
  clock: Clock;
  version: string;
  notices: Notices;
  /** Base for links that leave the server, without a slash at the end. */
  publicBase: () => string;
}

export function createProjectAnswers(options: ProjectAnswerOptions): ProjectAnswers {
  const { control, router, clock, publicBase } = options;
  const startedAt = isoTime(clock.now());
  const loadOf = (
    endpointId: string,
  ): Pick<EndpointAnswer, 'agents_ready' | 'running' | 'waiting'> => {
    const { agentsReady, running, waiting } = router.endpointStats(endpointId);
    return { agents_ready: agentsReady, running, waiting };
  };

  return {
    async status(caller) {
      const listed = await control.projects({ caller });
      const views = listed.ok ? listed.projects : [];
      const loads = views
        .flatMap(({ project }) => router.directory.endpointsOf(project.id))
        .map(({ id }) => router.endpointStats(id));
      return {
        version: options.version,
        started_at: startedAt,
        now: isoTime(clock.now()),
        running: loads.reduce((sum, { running }) => sum + running, 0),
        waiting: loads.reduce((sum, { waiting }) => sum + waiting, 0),
        journal: router.stats().journal,
        notices: options.notices(),
        base_url: publicBase(),
      };
    },
    endpoints(project, views) {
      return views.map(({ endpoint, model }) => ({
        id: endpoint.id,
        slug: endpoint.slug,
        tier: endpoint.tier,
        model: model?.name ?? endpoint.modelId,
        active: endpoint.active,
        fallback: {
          enabled: endpoint.fallback.enabled,
          after_ms: endpoint.fallback.afterMs,
          tier: endpoint.fallback.tier,
        },
        region: endpoint.region,
        exclusive: endpoint.exclusive,
        queue_timeout_ms: endpoint.queueTimeoutMs,
        base_url: `${publicBase()}/${project.slug}/${endpoint.slug}/v1`,
        ...loadOf(endpoint.id),
      }));
    },
    requests: (views) => views.map(requestAnswer),
  };
}

function requestAnswer(view: RequestView): RequestAnswer {
  return {
    id: view.requestId,
    started_at: isoTime(view.startedAtMs),
    endpoint: view.endpointSlug,
    tier: view.tier,
    agent: view.agentName,
    outcome: view.outcome,
    status: view.status,
    stream: view.stream,
    queue_ms: view.queueMs,
    ttft_ms: view.ttftMs,
    latency_ms: view.latencyMs,
    input_tokens: view.inputTokens,
    cached_tokens: view.cachedTokens,
    output_tokens: view.outputTokens,
  };
}

type Contracts = Pick<typeof statusContracts, 'openApi' | 'status'> &
  typeof endpointContracts &
  typeof requestContracts;

export function createProjectRoutes(options: {
  control: Pick<Control, 'endpoints' | 'recentRequests'>;
  answers: ProjectAnswers;
}): TopicHandlers<Contracts> {
  const { control, answers } = options;
  const document = openApiText();
  return {
    openApi: ({ context }) => context.body(document(), 200, { 'content-type': 'application/json' }),
    status: async (call) => call.json(await answers.status(call.caller)),
    async endpoints(call) {
      const { caller } = call;
      const outcome = await control.endpoints({ caller, project: call.part('project') });
      if (!outcome.ok) return call.refuse(outcome);
      return call.json({ data: answers.endpoints(outcome.project, outcome.endpoints) });
    },
    async requests(call) {
      const { caller, page } = call;
      const project = call.part('project');
      const outcome = await control.recentRequests({ caller, project, page });
      if (!outcome.ok) return call.refuse(outcome);
      return call.json(pageAnswer(outcome.requests, requestAnswer));
    },
  };
}

/** Made when somebody asks for it first: it takes some ms, and most servers are never asked. */
function openApiText(): () => string {
  let text: string | undefined;
  return () => (text ??= JSON.stringify(openApiDocument()));
}
