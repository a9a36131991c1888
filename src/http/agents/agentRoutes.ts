/** Agents of a project and of the platform: list, look, history, suspend, resume, remove. */
import type {
  AgentEventAnswer,
  agentContracts,
  UpdateAgentRequest,
} from '../../api/control/agents.ts';
import type { AgentWish } from '../../control/agents/changeAgent.ts';
import type {
  AgentCommand,
  AgentCommandOutcome,
  StopCommand,
} from '../../control/agents/agentLifecycle.ts';
import type { Control } from '../../control/control.ts';
import type { AgentEventView } from '../../control/agents/agents.ts';
import type { Clock } from '../../lib/clock.ts';
import type { AgentAnswers } from './agentAnswer.ts';
import { pageAnswer, type ControlCall } from '../control/controlCall.ts';
import { isoTime } from '../control/isoTime.ts';
import type { LiveView } from '../live/liveView.ts';
import { storageApplied, storageWarnings } from './storageApplied.ts';
import { ofPlatform, ofProject, type OwnerOf } from '../control/ownerOf.ts';
import type { TopicHandlers } from '../control/topicHandlers.ts';

interface Options {
  control: Pick<
    Control,
    | 'agents'
    | 'agent'
    | 'updateAgent'
    | 'agentEvents'
    | 'suspendAgent'
    | 'resumeAgent'
    | 'removeAgent'
    | 'revokeAgentCredentials'
  >;
  router: Pick<LiveView, 'agent' | 'linkedAgentIds' | 'onAgentChange'>;
  answers: AgentAnswers;
  clock: Clock;
}

type Contracts = typeof agentContracts;
type Name = keyof Options['control'];
type UseCase<Command> = (command: Command) => Promise<AgentCommandOutcome>;

export function createAgentRoutes(options: Options): TopicHandlers<Contracts> {
  const own = routesOf(options, ofProject);
  const shared = routesOf(options, ofPlatform);
  return {
    ...own,
    platformAgents: shared.agents,
    platformAgent: shared.agent,
    updatePlatformAgent: shared.updateAgent,
    platformAgentEvents: shared.agentEvents,
    suspendPlatformAgent: shared.suspendAgent,
    resumePlatformAgent: shared.resumeAgent,
    removePlatformAgent: shared.removeAgent,
    revokePlatformAgentCredentials: shared.revokeAgentCredentials,
  };
}

/** The routes for the owner that the address names. */
function routesOf(options: Options, ownerOf: OwnerOf): Pick<TopicHandlers<Contracts>, Name> {
  const { control, router, answers, clock } = options;
  const about = (call: Pick<ControlCall, 'caller' | 'part'>) => ({
    caller: call.caller,
    owner: ownerOf(call),
    agentId: call.part('agent'),
  });
  const command =
    (useCase: UseCase<AgentCommand>) =>
    async (call: ControlCall<Contracts['resumeAgent']>): Promise<Response> => {
      const outcome = await useCase({ ...about(call), reason: call.body.reason });
      return outcome.ok ? call.json(answers.one(outcome.agent)) : call.refuse(outcome);
    };
  const stop =
    (useCase: UseCase<StopCommand>) =>
    async (call: ControlCall<Contracts['suspendAgent']>): Promise<Response> => {
      const { reason, mode } = call.body;
      const outcome = await useCase({ ...about(call), reason, mode });
      return outcome.ok ? call.json(answers.one(outcome.agent)) : call.refuse(outcome);
    };
  return {
    async agents(call) {
      const { caller, page } = call;
      const { state, region, tier, name } = call.query;
      const outcome = await control.agents({
        caller,
        owner: ownerOf(call),
        page,
        filter: { state, region, tier, name },
        linkedAgentIds: () => router.linkedAgentIds(),
      });
      if (!outcome.ok) return call.refuse(outcome);
      return call.json(pageAnswer(outcome.agents, answers.one));
    },
    async agent(call) {
      const outcome = await control.agent(about(call));
      return outcome.ok ? call.json(answers.one(outcome.agent)) : call.refuse(outcome);
    },
    async updateAgent(call) {
      const { body, expectedVersion } = call;
      if (body.storage_limit_enabled === true && (body.storage_limit_bytes ?? null) === null) {
        const message = "'storage_limit_bytes' is needed when 'storage_limit_enabled' is true.";
        return call.refuse({ reason: 'invalid_value', param: 'storage_limit_bytes', message });
      }
      const wish = agentWish(body);
      const outcome = await control.updateAgent({ ...about(call), wish, expectedVersion });
      if (!outcome.ok) return call.refuse(outcome);
      const { agent, warnings } = outcome;
      if (wish.storageLimitBytes !== undefined) {
        const { id: agentId, storageLimitBytes: limitBytes } = agent;
        const { signal } = call.context.req.raw;
        const applied = await storageApplied({ router, clock, agentId, limitBytes, signal });
        warnings.push(...storageWarnings(applied, answers.one(agent).storage));
      }
      return call.json({ ...answers.one(agent), warnings });
    },
    async agentEvents(call) {
      const outcome = await control.agentEvents({ ...about(call), page: call.page });
      if (!outcome.ok) return call.refuse(outcome);
      return call.json(pageAnswer(outcome.events, eventAnswer));
    },
    suspendAgent: stop(control.suspendAgent),
    resumeAgent: command(control.resumeAgent),
    removeAgent: stop(control.removeAgent),
    revokeAgentCredentials: command(control.revokeAgentCredentials),
  };
}

function agentWish(body: UpdateAgentRequest): AgentWish {
  return {
    name: body.name,
    description: body.description,
    region: body.region,
    maxConcurrentRequests: body.max_concurrent_requests,
    supportedTiers: body.supported_tiers,
    boundEndpointIds: body.bound_endpoint_ids,
    storageLimitBytes: body.storage_limit_enabled === false ? null : body.storage_limit_bytes,
  };
}

function eventAnswer(event: AgentEventView): AgentEventAnswer {
  const { id, atMs, kind, actor, actorName, detail } = event;
  return { id, kind, actor, actor_name: actorName, detail, at: isoTime(atMs) };
}
