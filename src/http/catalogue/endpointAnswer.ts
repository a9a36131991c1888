/** An endpoint on the wire: what is stored of it, and what the router says now. */
import type { EndpointAnswer } from '../../api/control/endpoints.ts';
import type { EndpointView } from '../../control/catalogue/endpointView.ts';
import { isoTime } from '../control/isoTime.ts';
import type { LiveView } from '../live/liveView.ts';

export type EndpointAnswerOf = (view: EndpointView) => EndpointAnswer;

export function createEndpointAnswer(options: {
  router: Pick<LiveView, 'endpointStats'>;
  /** Base for links that leave the server, without a slash at the end. */
  publicBase: () => string;
}): EndpointAnswerOf {
  const { router, publicBase } = options;
  return ({ endpoint, model, project, boundAgents }) => {
    const { agentsReady, running, waiting } = router.endpointStats(endpoint.id);
    const { enabled, afterMs, tier } = endpoint.fallback;
    return {
      id: endpoint.id,
      slug: endpoint.slug,
      tier: endpoint.tier,
      model: model.name,
      model_id: model.id,
      active: endpoint.active,
      fallback: { enabled, after_ms: afterMs, tier },
      region: endpoint.region,
      exclusive: endpoint.exclusive,
      bound_agents: boundAgents.map(({ id, name, projectId }) => ({
        id,
        name,
        ownership: projectId === null ? 'shared' : 'project',
      })),
      minimum_isolation: endpoint.minimumIsolation,
      resume: endpoint.resume,
      queue_timeout_ms: endpoint.queueTimeoutMs,
      base_url: `${publicBase()}/${project.slug}/${endpoint.slug}/v1`,
      created_at: isoTime(endpoint.createdAtMs),
      updated_at: isoTime(endpoint.updatedAtMs),
      version: endpoint.version,
      agents_ready: agentsReady,
      running,
      waiting,
    };
  };
}
