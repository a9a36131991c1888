/** An endpoint as its project sees it. */
import type { ProjectEntry } from '../../domain/directory.ts';
import type { BoundAgent, EndpointDetail } from '../../store/contract/catalogueStore.ts';
import { authorizePlatform, type Caller } from '../principal.ts';

export interface EndpointView extends EndpointDetail {
  project: ProjectEntry;
}

/** Agents of the platform are nameless for everybody but operators. */
export function endpointView(
  detail: EndpointDetail,
  { project, caller }: { project: ProjectEntry; caller: Caller },
): EndpointView {
  const isOperator = authorizePlatform(caller).ok;
  const shownAgent = (agent: BoundAgent): BoundAgent =>
    agent.projectId === null && !isOperator ? { ...agent, name: 'shared' } : agent;
  return { ...detail, project, boundAgents: detail.boundAgents.map(shownAgent) };
}
