/** Headers of an answer that say who gave it and what is left. */
import { isolationOf } from '../../domain/agents/matching.ts';
import type { AgentEntry } from '../../domain/directory.ts';
import type { Rates } from '../../domain/quotas/limitAccount.ts';
import { rateHeaders } from './rateHeaders.ts';

/** Own agents by name, percent-encoded; others as `shared`. `agent`: undefined, it is gone. */
export function agentHeaders(
  agent: AgentEntry | undefined,
  project: { id: string },
): Record<string, string> {
  const isOwn = agent !== undefined && agent.projectId === project.id;
  return {
    'x-xim-agent': isOwn ? encodeURIComponent(agent.name) : 'shared',
    'x-xim-isolation': agent === undefined ? 'none' : isolationOf(agent),
  };
}

/** Limits of the project, and a budget that is near its end (its share; null: none is). */
export function leftHeaders(rates: Rates, budgetUsed: number | null): Record<string, string> {
  const budget = budgetUsed === null ? {} : { 'x-xim-budget-used': budgetUsed.toFixed(2) };
  return { ...rateHeaders(rates), ...budget };
}
