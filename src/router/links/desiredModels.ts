/**
 * Which models an agent should hold: those of the active endpoints that it may serve, last used
 * first. Agents that are alike in everything that decides it share one list.
 */
import type { AgentEntry, EndpointEntry } from '../../domain/directory.ts';
import { mayServeEndpoint } from '../../domain/agents/matching.ts';
import { desiredModelSchema, type DesiredModel } from '../../protocol/messages/routerControl.ts';
import type { Directory } from '../directory.ts';
import { maxDesiredModels } from '../limits.ts';

export class DesiredModels {
  private readonly directory: Directory;
  /** When a model last served a request, monotonic ms. */
  private readonly usedAtMs = new Map<string, number>();
  private lists = new Map<string, DesiredModel[]>();

  constructor(directory: Directory) {
    this.directory = directory;
  }

  /** A request for the model was dispatched. */
  used(modelId: string, nowMs: number): void {
    this.usedAtMs.set(modelId, nowMs);
  }

  /** Something in the directory has changed: nothing that was worked out still holds. */
  invalidate(): void {
    this.lists = new Map();
    for (const modelId of this.usedAtMs.keys()) {
      if (this.directory.model(modelId) === undefined) this.usedAtMs.delete(modelId);
    }
  }

  /** What the agent should hold. */
  of(agent: AgentEntry): DesiredModel[] {
    const key = likeness(agent);
    const known = this.lists.get(key);
    if (known !== undefined) return known;
    const list = this.workOut(agent);
    this.lists.set(key, list);
    return list;
  }

  private workOut(agent: AgentEntry): DesiredModel[] {
    const newest = new Map<string, number>();
    for (const endpoint of this.endpointsNear(agent)) {
      const project = this.directory.project(endpoint.projectId);
      const model = this.directory.model(endpoint.modelId);
      if (!endpoint.active || project === undefined || model === undefined) continue;
      if (!mayServeEndpoint(agent, { endpoint, project, model })) continue;
      newest.set(model.id, Math.max(endpoint.createdAtMs, newest.get(model.id) ?? -Infinity));
    }
    const used = (modelId: string): number => this.usedAtMs.get(modelId) ?? -Infinity;
    return [...newest]
      .toSorted(([one, oneMs], [other, otherMs]) => {
        const byUse = used(other) - used(one);
        return Number.isNaN(byUse) || byUse === 0 ? otherMs - oneMs : byUse;
      })
      .slice(0, maxDesiredModels)
      .flatMap(([modelId]) => this.describe(modelId));
  }

  /** A private agent serves its project only; a shared one may serve anybody. */
  private endpointsNear(agent: AgentEntry): Iterable<EndpointEntry> {
    return agent.projectId === null
      ? this.directory.allEndpoints()
      : this.directory.endpointsOf(agent.projectId);
  }

  /** Nothing for what CONFIG cannot carry: an agent must take it for a broken protocol. */
  private describe(modelId: string): DesiredModel[] {
    const model = this.directory.model(modelId);
    const described = desiredModelSchema.safeParse({ modelId, ...model });
    return described.success ? [described.data] : [];
  }
}

function likeness(agent: AgentEntry): string {
  const { projectId, effectiveTiers, boundEndpointIds, state } = agent;
  return JSON.stringify([projectId, effectiveTiers, boundEndpointIds, state]);
}
