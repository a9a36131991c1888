/** Agents of a project and of the platform: list, look, history, suspend, resume, remove. */
import type { AgentEventAnswer, agentContracts } from '../../api/control/agents.ts';
import type { AgentCommand, AgentCommandOutcome } from '../../control/agents/agentLifecycle.ts';
import type { Control } from '../../control/control.ts';
import type { AgentEventView } from '../../control/agents/agents.ts';
import type { AgentAnswers } from './agentAnswer.ts';
import { pageAnswer, type ControlCall } from './controlCall.ts';
import { isoTime } from './isoTime.ts';
import { ofPlatform, ofProject, type OwnerOf } from './ownerOf.ts';
import type { TopicHandlers } from './topicHandlers.ts';

interface Options {
  control: Pick<
    Control,
    'agents' | 'agent' | 'agentEvents' | 'suspendAgent' | 'resumeAgent' | 'removeAgent'
  >;
  answers: AgentAnswers;
}

type Contracts = typeof agentContracts;
type Name = 'agents' | 'agent' | 'agentEvents' | 'suspendAgent' | 'resumeAgent' | 'removeAgent';
type UseCase = (command: AgentCommand) => Promise<AgentCommandOutcome>;

export function createAgentRoutes(options: Options): TopicHandlers<Contracts> {
  const own = routesOf(options, ofProject);
  const shared = routesOf(options, ofPlatform);
  return {
    ...own,
    platformAgents: shared.agents,
    platformAgent: shared.agent,
    platformAgentEvents: shared.agentEvents,
    suspendPlatformAgent: shared.suspendAgent,
    resumePlatformAgent: shared.resumeAgent,
    removePlatformAgent: shared.removeAgent,
  };
}

/** The six routes for the owner that the address names. */
function routesOf(options: Options, ownerOf: OwnerOf): Pick<TopicHandlers<Contracts>, Name> {
  const { control, answers } = options;
  const about = (call: Pick<ControlCall, 'caller' | 'part'>) => ({
    caller: call.caller,
    owner: ownerOf(call),
    agentId: call.part('agent'),
  });
  const command =
    (useCase: UseCase) =>
    async (call: ControlCall<Contracts['suspendAgent']>): Promise<Response> => {
      const outcome = await useCase({ ...about(call), reason: call.body.reason });
      return outcome.ok ? call.json(answers.one(outcome.agent)) : call.refuse(outcome);
    };
  return {
    async agents(call) {
      const outcome = await control.agents({ caller: call.caller, owner: ownerOf(call) });
      return outcome.ok ? call.json({ data: answers.all(outcome.agents) }) : call.refuse(outcome);
    },
    async agent(call) {
      const outcome = await control.agent(about(call));
      return outcome.ok ? call.json(answers.one(outcome.agent)) : call.refuse(outcome);
    },
    async agentEvents(call) {
      const outcome = await control.agentEvents({ ...about(call), page: call.page });
      if (!outcome.ok) return call.refuse(outcome);
      return call.json(pageAnswer(outcome.events, eventAnswer));
    },
    suspendAgent: command(control.suspendAgent),
    resumeAgent: command(control.resumeAgent),
    removeAgent: command(control.removeAgent),
  };
}

function eventAnswer({ id, atMs, kind, actor, detail }: AgentEventView): AgentEventAnswer {
  return { id, kind, actor, detail, at: isoTime(atMs) };
}
