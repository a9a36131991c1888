/** An agent as its owner sees it: everything that is stored but the hashes of its tokens (C2). */
import type { AgentRow } from '../../store/contract/agentStore.ts';

export type AgentView = Omit<AgentRow, 'tokenHash' | 'previousTokenHash' | 'generation'> & {
  ownership: 'project' | 'shared';
};

export function agentView(row: AgentRow): AgentView {
  const { tokenHash: _current, previousTokenHash: _previous, generation: _gen, ...shown } = row;
  return { ...shown, ownership: row.projectId === null ? 'shared' : 'project' };
}
