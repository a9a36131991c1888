/**
 * The control plane: every use-case that changes or shows durable state, composed once.
 *
 * - `access/`     people: passwords, sessions, the limit on failed sign-ins
 * - `enrolment/`  join keys, nonces, enrolment, refresh, the agents' tokens
 * - `agents/`     lists, events, suspend, resume, remove, the sweep
 * - `platform/`   the first start, the default model, what a project shows
 * - `feeds/`      what the data plane is fed with and feeds back (the router's ports)
 * - `secrets.ts`, `keyFile.ts`  the server's own secrets
 *
 * Invariants
 * C1 A join key is consumed at most max_uses times, under any concurrency.
 * C2 Secrets are stored hashed (or sealed, where they must be readable), compared in constant time,
 *    shown once, never logged.
 * C3 Every use-case that has a caller asks `principal.ts` first.
 */
import { createAttemptLimits } from './access/attemptLimits.ts';
import { createOwnPassword } from './access/ownPassword.ts';
import { createPasswords } from './access/password.ts';
import { createSecondFactors } from './access/secondFactor.ts';
import { createSessions, type Sessions } from './access/signIn.ts';
import { agentEvents, agentOf, listAgents } from './agents/agents.ts';
import { removeAgent, resumeAgent, suspendAgent } from './agents/agentLifecycle.ts';
import { sweep } from './agents/sweep.ts';
import { createAgentTokens } from './enrolment/agentTokens.ts';
import { createJoinKey } from './enrolment/createJoinKey.ts';
import { createEnroll, type Enroll } from './enrolment/enroll.ts';
import { listJoinKeys, revokeJoinKey } from './enrolment/joinKeys.ts';
import { createNonces } from './enrolment/nonces.ts';
import { createRefresh, type Refresh } from './enrolment/refresh.ts';
import { createDirectoryFeed, type DirectoryFeed } from './feeds/directoryFeed.ts';
import { createPresenceSink, type PresenceSink } from './feeds/presenceSink.ts';
import { createUsageSink, type UsageSink } from './feeds/usageSink.ts';
import type { ControlParts } from './parts.ts';
import { bootstrap, credentialsMatch, type BootstrapInput } from './platform/bootstrap.ts';
import { defaultModelOf, ensureDefaultModel } from './platform/defaultModel.ts';
import { newPlatformJoinKey } from './platform/platformJoinKey.ts';
import { listEndpoints, recentRequests } from './platform/projects.ts';
import { listProjects, projectOf } from './projects/projects.ts';
import type { ServerSecrets } from './secrets.ts';

/** A use-case whose first parameter, what it stands on, was filled in. */
type Bound<UseCase extends (parts: never, input: never) => unknown> = (
  input: Parameters<UseCase>[1],
) => ReturnType<UseCase>;

export interface Control {
  // The first start, and what main does at later ones. No caller: main is trusted.
  isBootstrapped(): Promise<boolean>;
  bootstrap(input: BootstrapInput): ReturnType<typeof bootstrap>;
  credentialsMatch: Bound<typeof credentialsMatch>;
  defaultModel(): ReturnType<typeof defaultModelOf>;
  ensureDefaultModel: Bound<typeof ensureDefaultModel>;
  newPlatformJoinKey: Bound<typeof newPlatformJoinKey>;
  /** About once a minute. */
  sweep: Bound<typeof sweep>;

  // People.
  signIn: Sessions['signIn'];
  session: Sessions['session'];
  signOut: Sessions['signOut'];

  // Projects.
  projects: Bound<typeof listProjects>;
  project: Bound<typeof projectOf>;
  endpoints: Bound<typeof listEndpoints>;
  recentRequests: Bound<typeof recentRequests>;

  // Join keys and agents, of a project or of the platform.
  createJoinKey: Bound<typeof createJoinKey>;
  joinKeys: Bound<typeof listJoinKeys>;
  revokeJoinKey: Bound<typeof revokeJoinKey>;
  agents: Bound<typeof listAgents>;
  agent: Bound<typeof agentOf>;
  agentEvents: Bound<typeof agentEvents>;
  suspendAgent: Bound<typeof suspendAgent>;
  resumeAgent: Bound<typeof resumeAgent>;
  removeAgent: Bound<typeof removeAgent>;

  // What agents call; their credentials are in what they send.
  newNonce(input: { address: string }): { nonce: string; expiresInMs: number };
  enroll: Enroll;
  refresh: Refresh;

  // The data plane's ports.
  directoryFeed: DirectoryFeed;
  usageSink: UsageSink;
  presenceSink: PresenceSink;
}

export function createControl(options: ControlParts & { secrets: ServerSecrets }): Control {
  const { store, clock, random, secrets } = options;
  const parts: ControlParts = options;
  const passwords = createPasswords(random);
  const limits = createAttemptLimits(clock);
  const ownPassword = createOwnPassword({ ...parts, passwords, limits });
  const secondFactors = createSecondFactors({ ...parts, secrets, limits, ownPassword });
  const nonces = createNonces({ clock, random });
  const tokens = createAgentTokens({ secrets, clock });
  return {
    isBootstrapped: () => store.isBootstrapped(),
    bootstrap: (input) => bootstrap({ ...parts, passwords }, input),
    credentialsMatch: (input) => credentialsMatch(parts, input),
    defaultModel: () => defaultModelOf(parts),
    ensureDefaultModel: (input) => ensureDefaultModel(parts, input),
    newPlatformJoinKey: (input) => newPlatformJoinKey(parts, input),
    sweep: (input) => sweep(parts, input),

    ...createSessions({ ...parts, passwords, limits, secondFactors }),

    projects: (input) => listProjects(parts, input),
    project: (input) => projectOf(parts, input),
    endpoints: (input) => listEndpoints(parts, input),
    recentRequests: (input) => recentRequests(parts, input),

    createJoinKey: (input) => createJoinKey(parts, input),
    joinKeys: (input) => listJoinKeys(parts, input),
    revokeJoinKey: (input) => revokeJoinKey(parts, input),
    agents: (input) => listAgents(parts, input),
    agent: (input) => agentOf(parts, input),
    agentEvents: (input) => agentEvents(parts, input),
    suspendAgent: (input) => suspendAgent(parts, input),
    resumeAgent: (input) => resumeAgent(parts, input),
    removeAgent: (input) => removeAgent(parts, input),

    newNonce: ({ address }) => nonces.issue(address),
    enroll: createEnroll({ ...parts, nonces, tokens }),
    refresh: createRefresh({ ...parts, nonces, tokens }),

    directoryFeed: createDirectoryFeed({ store, secrets }),
    usageSink: createUsageSink(store),
    presenceSink: createPresenceSink(parts),
  };
}
