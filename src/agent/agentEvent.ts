/**
 * What an agent tells of its progress, for whoever shows it: a terminal, or the server beside it.
 */
export type AgentEvent =
  | { kind: 'enrolled'; name: string; agentId: string }
  | { kind: 'linked' }
  /** There is no link; it is tried again. */
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
  | { kind: 'note'; message: string };
