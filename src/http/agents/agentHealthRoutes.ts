/** How agents of projects and of the platform are. */
import type { agentHealthContracts } from '../../api/control/agentHealth.ts';
import type { Control } from '../../control/control.ts';
import type { AgentAnswers } from './agentAnswer.ts';
import { agentHealthAnswer } from './agentHealthAnswer.ts';
import type { ControlHandler } from '../control/controlCall.ts';
import type { LiveView } from '../live/liveView.ts';
import { ofPlatform, ofProject, type OwnerOf } from '../control/ownerOf.ts';
import type { TopicHandlers } from '../control/topicHandlers.ts';

type Contracts = typeof agentHealthContracts;

export function createAgentHealthRoutes(options: {
  control: Pick<Control, 'agentHealth'>;
  router: Pick<LiveView, 'agent' | 'agentHealth'>;
  answers: AgentAnswers;
  modelName: (modelId: string) => string | undefined;
}): TopicHandlers<Contracts> {
  const { control, router, answers, modelName } = options;
  const health =
    (ownerOf: OwnerOf): ControlHandler<Contracts['agentHealth']> =>
    async (call) => {
      const agentId = call.part('agent');
      const asked = { caller: call.caller, owner: ownerOf(call), agentId };
      const outcome = await control.agentHealth(asked);
      if (!outcome.ok) return call.refuse(outcome);
      const agent = answers.one(outcome.agent);
      const instances = router.agent(agentId)?.instances ?? [];
      const now = router.agentHealth(agentId);
      const { samples } = outcome;
      return call.json(agentHealthAnswer({ agent, now, instances, samples, modelName }));
    };
  return { agentHealth: health(ofProject), platformAgentHealth: health(ofPlatform) };
}
