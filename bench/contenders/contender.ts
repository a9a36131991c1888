/** What carries a request to the mock: nothing, nginx, XIM's libraries by themselves, or XIM. */
import type { Target } from '../load/messages.ts';

export const contenderNames = ['direct', 'nginx', 'bare', 'xim'] as const;
export type ContenderName = (typeof contenderNames)[number];

export interface Contender {
  readonly name: ContenderName;
  readonly target: Target;
  /** Processes that are measured as one: nginx's, or the router. */
  readonly devicePids: readonly number[];
  /** The agent's, which stands beside the engine. */
  readonly agentPids: readonly number[];
}

/** What contenders are started with. */
export interface Surroundings {
  /** Of the bench, removed at its end. */
  directory: string;
  mockPort: number;
}

export function directContender({ mockPort }: Surroundings): Contender {
  const target = { port: mockPort, path: '/v1/chat/completions' };
  return { name: 'direct', target, devicePids: [], agentPids: [] };
}
