/** Agents of a project and of the platform: list, look, history, suspend, resume, remove. */
import type { AgentEventAnswer } from '../../api/control/agents.ts';
import { agentCommandSchema } from '../../api/control/agents.ts';
import { listQuerySchema } from '../../api/control/lists.ts';
import type { AgentCommand, AgentCommandOutcome } from '../../control/agents/agentLifecycle.ts';
import type { Control } from '../../control/control.ts';
import type { OwnerRef } from '../../control/principal.ts';
import type { AgentAnswers } from './agentAnswer.ts';
import {
  part,
  readInput,
  readQuery,
  type ControlContext,
  type ControlHandler,
} from './controlContext.ts';
import { refuseFor } from './controlRefusals.ts';
import { isoTime } from './isoTime.ts';

interface Options {
  control: Pick<
    Control,
    'agents' | 'agent' | 'agentEvents' | 'suspendAgent' | 'resumeAgent' | 'removeAgent'
  >;
  answers: AgentAnswers;
}

type Name = 'list' | 'one' | 'events' | 'suspend' | 'resume' | 'remove';
type UseCase = (command: AgentCommand) => Promise<AgentCommandOutcome>;

/** The six routes for the owner that the address names. */
export function createAgentRoutes(
  options: Options,
  ownerOf: (context: ControlContext) => OwnerRef,
): Record<Name, ControlHandler> {
  const { control, answers } = options;
  const about = (context: ControlContext) => ({
    caller: context.var.caller,
    owner: ownerOf(context),
    agentId: part(context, 'agent'),
  });
  const command =
    (useCase: UseCase): ControlHandler =>
    async (context) => {
      const input = readInput(context, agentCommandSchema);
      if (!input.ok) return input.response;
      const outcome = await useCase({ ...about(context), reason: input.value.reason });
      if (!outcome.ok) return refuseFor(context, outcome);
      return context.json(answers.one(outcome.agent));
    };
  return {
    async list(context) {
      const { caller } = context.var;
      const outcome = await control.agents({ caller, owner: ownerOf(context) });
      if (!outcome.ok) return refuseFor(context, outcome);
      return context.json({ data: answers.all(outcome.agents) });
    },
    async one(context) {
      const outcome = await control.agent(about(context));
      if (!outcome.ok) return refuseFor(context, outcome);
      return context.json(answers.one(outcome.agent));
    },
    async events(context) {
      const query = readQuery(context, listQuerySchema);
      if (!query.ok) return query.response;
      const outcome = await control.agentEvents({ ...about(context), limit: query.value.limit });
      if (!outcome.ok) return refuseFor(context, outcome);
      const data: AgentEventAnswer[] = outcome.events.map(({ id, atMs, kind, actor, detail }) => ({
        id,
        kind,
        actor,
        detail,
        at: isoTime(atMs),
      }));
      return context.json({ data });
    },
    suspend: command(control.suspendAgent),
    resume: command(control.resumeAgent),
    remove: command(control.removeAgent),
  };
}
