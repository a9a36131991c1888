/** How an agent was over the last day. How it is now, its link says. */
import type { HealthSample } from '../../domain/agents/agentHealth.ts';
import { healthKeptMs, healthSamplesShown } from '../limits.ts';
import type { ControlParts } from '../parts.ts';
import type { Caller, Denied, OwnerRef } from '../principal.ts';
import { authorizeAgent, type NotFound } from './agents.ts';
import { agentView, type AgentView } from './agentView.ts';

/** Oldest first. */
export async function agentHealth(
  parts: Pick<ControlParts, 'store' | 'clock'>,
  input: { caller: Caller; owner: OwnerRef; agentId: string },
): Promise<{ ok: true; agent: AgentView; samples: HealthSample[] } | NotFound | Denied> {
  const found = await authorizeAgent(parts, { ...input, role: 'member' });
  if (!found.ok) return found;
  const { agentId } = input;
  const fromMs = parts.clock.now() - healthKeptMs;
  const samples = await parts.store.healthOf({ agentId, fromMs, limit: healthSamplesShown });
  return { ok: true, agent: agentView(found.agent), samples };
}
