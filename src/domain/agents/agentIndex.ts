/**
 * Agents by scope and tier, so that the questions of routing (is anybody who could serve this
 * active, enrolled, alive?) are answered by counters instead of a scan over the fleet.
 *
 * A scope is where an agent's work may come from: its project (`p:`), the platform (`s`), or, for a
 * bound agent, each of its endpoints (`e:` of a project's own, `s:` of a shared one). So the agents
 * of a scope are all own or all shared.
 */
import type { AgentEntry } from '../directory.ts';
import { nothingYet, type AgentGroup, type KnownAgent } from '../scheduler/schedulerState.ts';
import type { Ownership, RoutedRequest, Stage } from './matching.ts';

/** Stands for "on any tier" in a group's key. */
const anyTier = '*';

/** Where the work of an agent may come from. */
export function scopesOf(agent: AgentEntry): string[] {
  const isShared = agent.projectId === null;
  const bound = agent.boundEndpointIds?.map((id) => (isShared ? `s:${id}` : `e:${id}`));
  return bound ?? [isShared ? 's' : `p:${agent.projectId}`];
}

/** Whose the agents of a scope are. */
export const ownershipIn = (scope: string): Ownership => (scope.startsWith('s') ? 'shared' : 'own');

/** The scopes that a request may draw from in a stage. */
export function scopesFor(request: RoutedRequest, stage: Stage): string[] {
  if (stage === 'shared') return ['s'];
  const bound = [`e:${request.endpoint.id}`, `s:${request.endpoint.id}`];
  return request.endpoint.exclusive ? bound : [`p:${request.project.id}`, ...bound];
}

export class AgentIndex {
  /** Goes up whenever who is there, or what an agent is, has changed. */
  version = 0;
  private readonly agents = new Map<string, KnownAgent>();
  private readonly groups = new Map<string, AgentGroup>();

  get(agentId: string): KnownAgent | undefined {
    return this.agents.get(agentId);
  }

  all(): Iterable<KnownAgent> {
    return this.agents.values();
  }

  /** What an agent's running process has: claims that hold its slots, and slots that it grants. */
  loadOf(agentId: string): { inFlight: number; slots: number } {
    const all = [...(this.get(agentId)?.instances.values() ?? [])];
    const sum = (of: 'inFlight' | 'slots'): number => all.reduce((to, one) => to + one[of], 0);
    return { inFlight: sum('inFlight'), slots: sum('slots') };
  }

  /** Claims that hold a slot of one engine instance. */
  inFlight(where: { agentId: string; nonce: string; instance: string }): number {
    for (const { nonce, id, engine } of this.get(where.agentId)?.instances.values() ?? []) {
      if (nonce === where.nonce && id === where.instance) return engine.inFlight;
    }
    return 0;
  }

  /** Takes the directory's word on an agent, new or changed. */
  put(entry: AgentEntry, nowMs: number): KnownAgent {
    const known = this.agents.get(entry.id);
    if (known === undefined) return this.add(entry, nowMs);
    known.gone = false;
    this.change(known, { nowMs, apply: () => (known.entry = entry) });
    return known;
  }

  /** Forgets an agent. Its instances are the caller's to retire first. */
  remove(agent: KnownAgent, nowMs: number): void {
    this.version += 1;
    this.leaveGroups(agent, nowMs);
    this.agents.delete(agent.entry.id);
  }

  /** Notes which process of the agent is linked; null = none. */
  setNonce(agent: KnownAgent, options: { nonce: string | null; nowMs: number }): void {
    const { nonce, nowMs } = options;
    this.change(agent, { nowMs, apply: () => (agent.nonce = nonce) });
  }

  /** Another process, or none: how far the last one was with its models says nothing any more. */
  forgetModels(agent: KnownAgent): void {
    agent.models = nothingYet;
  }

  /** Agents of a scope that carry the tier; undefined when there are none but dead ones. */
  group(scope: string, tier: string = anyTier): AgentGroup | undefined {
    return this.groups.get(groupKey(scope, tier));
  }

  /** Those bound to an endpoint, own and shared ones. */
  boundTo(endpointId: string, tier: string = anyTier): KnownAgent[] {
    const groups = [this.group(`e:${endpointId}`, tier), this.group(`s:${endpointId}`, tier)];
    return groups.flatMap((group) => [...(group?.members ?? [])]);
  }

  /** Every agent of a project that is not dead, bound or not. */
  ofProject(projectId: string): AgentGroup | undefined {
    return this.group(projectScope(projectId));
  }

  private add(entry: AgentEntry, nowMs: number): KnownAgent {
    const agent: KnownAgent = {
      entry,
      gone: false,
      nonce: null,
      lostNonce: null,
      crashes: 0,
      life: 0,
      rttMs: null,
      models: nothingYet,
      instances: nothingYet,
      groups: [],
    };
    this.version += 1;
    this.agents.set(entry.id, agent);
    this.joinGroups(agent, nowMs);
    return agent;
  }

  private change(agent: KnownAgent, step: { nowMs: number; apply: () => void }): void {
    this.version += 1;
    this.leaveGroups(agent, step.nowMs);
    step.apply();
    this.joinGroups(agent, step.nowMs);
  }

  private joinGroups(agent: KnownAgent, nowMs: number): void {
    if (agent.entry.state === 'dead') return;
    agent.groups = keysOf(agent.entry).map((key) => this.groupOrNew(key));
    for (const group of agent.groups) {
      group.members.add(agent);
      count(group, { agent, by: 1 });
    }
    // Not before: the groups that the agent is about to join are empty until then.
    this.sweepEmptyGroups(nowMs);
  }

  private leaveGroups(agent: KnownAgent, nowMs: number): void {
    for (const group of agent.groups) {
      group.members.delete(agent);
      const wasActive = group.active.size > 0;
      count(group, { agent, by: -1 });
      if (wasActive && group.active.size === 0) group.lastActiveAtMs = nowMs;
    }
    agent.groups = [];
  }

  private groupOrNew(key: string): AgentGroup {
    const known = this.groups.get(key);
    if (known !== undefined) return known;
    const group: AgentGroup = {
      key,
      members: new Set(),
      enrolled: 0,
      active: new Set(),
      lastActiveAtMs: -Infinity,
    };
    this.groups.set(key, group);
    return group;
  }

  /** R6: empty groups are kept only while a waiting request may still ask when they emptied. */
  private sweepEmptyGroups(nowMs: number): void {
    if (this.groups.size < this.agents.size * 16 + 64) return;
    for (const group of this.groups.values()) {
      const forgotten = group.lastActiveAtMs < nowMs - rememberEmptyMs;
      if (group.members.size === 0 && forgotten) this.groups.delete(group.key);
    }
  }
}

/** Longer than any request waits. */
const rememberEmptyMs = 60_000;

const groupKey = (scope: string, tier: string): string => `${scope}|${tier}`;
const projectScope = (projectId: string): string => `all:${projectId}`;

function keysOf(entry: AgentEntry): string[] {
  const keys = scopesOf(entry).flatMap((scope) =>
    [anyTier, ...entry.effectiveTiers].map((tier) => groupKey(scope, tier)),
  );
  if (entry.projectId !== null) keys.push(groupKey(projectScope(entry.projectId), anyTier));
  return keys;
}

function count(group: AgentGroup, step: { agent: KnownAgent; by: 1 | -1 }): void {
  const { agent, by } = step;
  if (agent.entry.state !== 'enrolled') return;
  group.enrolled += by;
  if (agent.nonce === null) return;
  if (by === 1) group.active.add(agent);
  else group.active.delete(agent);
}
