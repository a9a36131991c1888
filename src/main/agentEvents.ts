/**
 * What an agent tells of its progress: JSON lines on its standard output with `--events`, which a
 * server reads from its shared agent; sentences on standard error otherwise.
 */

export type AgentEvent =
  | { kind: 'enrolled'; name: string; agentId: string }
  | { kind: 'linked' }
  /** The link is down and is tried again. */
  | { kind: 'unlinked'; message: string }
  | {
      kind: 'fetching';
      model: string;
      receivedBytes: number;
      /** Null: the source does not say. */
      totalBytes: number | null;
      bytesPerSecond: number | null;
    }
  /** `fraction` in [0, 1]. */
  | { kind: 'loading'; model: string; fraction: number }
  | { kind: 'ready'; model: string }
  /** `tried`: one line a source, in order. It may be tried again later. */
  | { kind: 'failed'; model: string; message: string; tried: readonly string[] }
  /** A sentence that needs no action of a program. */
  | { kind: 'note'; message: string }
  /** Final: the agent ends. */
  | { kind: 'refused'; message: string };

const kinds: ReadonlySet<unknown> = new Set<AgentEvent['kind']>([
  'enrolled',
  'linked',
  'unlinked',
  'fetching',
  'loading',
  'ready',
  'failed',
  'note',
  'refused',
]);

/** The event in a line of an agent of this very version; undefined for anything else. */
export function parseAgentEvent(line: string): AgentEvent | undefined {
  try {
    const value = JSON.parse(line) as AgentEvent | null;
    return kinds.has(value?.kind) ? (value as AgentEvent) : undefined;
  } catch {
    return undefined;
  }
}
