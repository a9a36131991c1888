/** What an agent is told by its owner; main reads it from flags and environment. */
export interface AgentConfig {
  /** Address of the server. Null: the one that the state file names. */
  serverUrl: string | null;
  /** `sha256//…` of the server's private certificate. Null: the state file's, else none. */
  pin: string | null;
  /** Needed for the first start only. */
  joinKey: string | null;
  stateDir: string;
  /** Null: the join key's name, else the host's. */
  name: string | null;
  agentVersion: string;
  /** Bound on the model cache of the machine's owner; the server may set a smaller one. */
  storageLimitBytes: number | null;
}
