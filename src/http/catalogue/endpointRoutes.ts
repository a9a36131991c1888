/** Endpoints of a project: list, look, create, change, delete. */
import type {
  ChangedEndpointAnswer,
  endpointContracts,
  UpdateEndpointRequest,
} from '../../api/control/endpoints.ts';
import type { EndpointWish } from '../../control/catalogue/endpointWish.ts';
import type { Control } from '../../control/control.ts';
import { pageAnswer } from '../control/controlCall.ts';
import type { EndpointAnswerOf } from './endpointAnswer.ts';
import type { LiveView } from '../live/liveView.ts';
import type { TopicHandlers } from '../control/topicHandlers.ts';

type ChangedEndpoint = Extract<Awaited<ReturnType<Control['updateEndpoint']>>, { ok: true }>;

export function createEndpointRoutes(options: {
  control: Pick<
    Control,
    'endpoints' | 'endpoint' | 'createEndpoint' | 'updateEndpoint' | 'deleteEndpoint'
  >;
  router: Pick<LiveView, 'directory'>;
  answer: EndpointAnswerOf;
}): TopicHandlers<typeof endpointContracts> {
  const { control, router, answer } = options;
  /** With what the router says of it as it is now. */
  const changed = async (outcome: ChangedEndpoint): Promise<ChangedEndpointAnswer> => {
    const isRead = (await router.directory.refresh()) === 'read';
    const warnings = isRead ? outcome.warnings : [...outcome.warnings, oldFigures];
    return { ...answer(outcome.endpoint), warnings };
  };
  return {
    async endpoints(call) {
      const { caller, page } = call;
      const outcome = await control.endpoints({ caller, project: call.part('project'), page });
      if (!outcome.ok) return call.refuse(outcome);
      return call.json(pageAnswer(outcome.endpoints, answer));
    },
    async endpoint(call) {
      const { caller } = call;
      const [project, endpoint] = [call.part('project'), call.part('endpoint')];
      const outcome = await control.endpoint({ caller, project, endpoint });
      return outcome.ok ? call.json(answer(outcome.endpoint)) : call.refuse(outcome);
    },
    async createEndpoint(call) {
      const { caller, body } = call;
      const { slug, model_id: modelId, tier } = body;
      const wish = { ...endpointWish(body), slug, modelId, tier };
      const project = call.part('project');
      const outcome = await control.createEndpoint({ caller, project, wish });
      return outcome.ok ? call.json(await changed(outcome)) : call.refuse(outcome);
    },
    async updateEndpoint(call) {
      const { caller, body, expectedVersion } = call;
      const outcome = await control.updateEndpoint({
        caller,
        project: call.part('project'),
        endpoint: call.part('endpoint'),
        wish: endpointWish(body),
        expectedVersion,
      });
      return outcome.ok ? call.json(await changed(outcome)) : call.refuse(outcome);
    },
    async deleteEndpoint(call) {
      const { caller } = call;
      const [project, endpoint] = [call.part('project'), call.part('endpoint')];
      const outcome = await control.deleteEndpoint({ caller, project, endpoint });
      if (!outcome.ok) return call.refuse(outcome);
      const { id, revokedKeyIds } = outcome;
      return call.json({ id, deleted: true, revoked_key_ids: revokedKeyIds });
    },
  };
}

const oldFigures = 'agents_ready, running and waiting are from before the change: look again.';

function endpointWish(body: UpdateEndpointRequest): EndpointWish {
  const { fallback } = body;
  return {
    modelId: body.model_id,
    tier: body.tier,
    active: body.active,
    fallback: fallback && {
      enabled: fallback.enabled,
      afterMs: fallback.after_ms,
      tier: fallback.tier,
    },
    region: body.region,
    minimumIsolation: body.minimum_isolation,
    resume: body.resume,
    queueTimeoutMs: body.queue_timeout_ms,
    boundAgentIds: body.bound_agent_ids,
  };
}
