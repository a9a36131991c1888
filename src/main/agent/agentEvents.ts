/**
 * How an agent's progress travels from its process: JSON lines on standard output (`--events`),
 * which a server reads from its shared agent.
 */
import type { AgentEvent } from '../../agent/agentEvent.ts';

export type AgentProcessEvent =
  | AgentEvent
  /** Final: the agent ends, and trying again is of no use. */
  | { kind: 'refused'; message: string }
  /** The agent cannot start; what is wrong may be put right. It ends. */
  | { kind: 'unable'; message: string };

/** What somebody who watches an agent's process hears of it. */
export type AgentWatchEvent =
  | AgentProcessEvent
  /** The process has ended by itself and is started again. */
  | { kind: 'ended'; message: string };

const kinds: ReadonlySet<unknown> = new Set<AgentProcessEvent['kind']>([
  'enrolled',
  'linked',
  'unlinked',
  'fetching',
  'loading',
  'ready',
  'failed',
  'note',
  'refused',
  'unable',
]);

/** The event in a line of an agent of this very version; undefined for anything else. */
export function parseAgentEvent(line: string): AgentProcessEvent | undefined {
  try {
    const value = JSON.parse(line) as AgentProcessEvent | null;
    return kinds.has(value?.kind) ? (value as AgentProcessEvent) : undefined;
  } catch {
    return undefined;
  }
}
