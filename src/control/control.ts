/**
 * The control plane: every use-case that changes or shows durable state, composed once.
 *
 * - `access/`     sign-in: passwords, sessions, second factors, OpenID Connect; repeated calls
 * - `people/`     accounts, by operators
 * - `projects/`   projects, their members, invitations
 * - `apiKeys/`    keys of projects
 * - `catalogue/`  endpoints, models, tiers, the map of near regions
 * - `enrolment/`  join keys, nonces, enrolment, refresh, the agents' tokens
 * - `agents/`     lists, events, suspend, resume, remove, the sweep
 * - `platform/`   the first start, the default model
 * - `usage/`      what was served, and what it comes to
 * - `feeds/`      what the data plane is fed with and feeds back (the router's ports)
 * - `secrets.ts`, `keyFile.ts`  the server's own secrets
 *
 * Invariants
 * C1 A join key is consumed at most max_uses times, under any concurrency.
 * C2 Secrets are stored hashed (or sealed, where they must be readable), compared in constant time,
 *    shown once, never logged.
 * C3 Every use-case that has a caller asks `principal.ts` first.
 * C4 Every change of a person's has one audit note (`audit.ts`), committed with it.
 * C5 What was changed once under an idempotency key is never changed again.
 */
import {
  createAccessControl,
  type AccessControl,
  type OidcConfig,
} from './access/accessControl.ts';
import { createIdempotentCalls, type BeginCall } from './access/idempotentCalls.ts';
import { createPasswords, type PasswordCost } from './access/password.ts';
import { agentUseCases } from './agents/agentUseCases.ts';
import { catalogueUseCases } from './catalogue/catalogueUseCases.ts';
import { createTiers, type TierUseCases } from './catalogue/tiers.ts';
import { apiKeyUseCases } from './apiKeys/apiKeyUseCases.ts';
import { createKeyUse, type KeyUse } from './apiKeys/keyUse.ts';
import { createAgentTokens } from './enrolment/agentTokens.ts';
import { createEnroll, type Enroll } from './enrolment/enroll.ts';
import { joinKeyUseCases } from './enrolment/joinKeyUseCases.ts';
import { createNonces } from './enrolment/nonces.ts';
import { createRefresh, type Refresh } from './enrolment/refresh.ts';
import { createBudgetLedger, type BudgetLedger } from './feeds/budgetLedger.ts';
import { createDirectoryFeed, type DirectoryFeed } from './feeds/directoryFeed.ts';
import { createHealthSink, type HealthSink } from './feeds/healthSink.ts';
import { createPresenceSink, type PresenceSink } from './feeds/presenceSink.ts';
import { createUsageSink, type UsageSink } from './feeds/usageSink.ts';
import type { ControlParts } from './parts.ts';
import { peopleUseCases } from './people/peopleUseCases.ts';
import { bootstrap, type BootstrapInput } from './platform/bootstrap.ts';
import { auditUseCases } from './platform/auditUseCases.ts';
import { defaultEndpointOf, defaultModelOf } from './platform/defaultModel.ts';
import { platformUseCases } from './platform/platformUseCases.ts';
import {
  renewCredentials,
  type RenewInput,
  type RenewOutcome,
} from './platform/renewCredentials.ts';
import { projectUseCases } from './projects/projectUseCases.ts';
import type { ServerSecrets } from './secrets.ts';
import { usageUseCases } from './usage/usageUseCases.ts';
import { bindUseCases, type Bound } from './useCases.ts';

/** Use-cases that stand on `ControlParts` alone, by topic. */
const useCases = {
  ...platformUseCases,
  ...peopleUseCases,
  ...projectUseCases,
  ...catalogueUseCases,
  ...usageUseCases,
  ...apiKeyUseCases,
  ...joinKeyUseCases,
  ...agentUseCases,
  ...auditUseCases,
};

export interface Control extends Bound<typeof useCases>, AccessControl {
  // The first start, and what main asks at later ones. No caller: main is trusted.
  isBootstrapped(): Promise<boolean>;
  bootstrap(input: BootstrapInput): ReturnType<typeof bootstrap>;
  renewCredentials(input: RenewInput): Promise<RenewOutcome>;
  defaultEndpoint(): ReturnType<typeof defaultEndpointOf>;
  defaultModel(): ReturnType<typeof defaultModelOf>;
  /** Whether there is such an agent, and it is not dead. */
  hasLivingAgent(agentId: string): Promise<boolean>;

  /** When keys were used; the data plane notes it, main has it written down. */
  keyUse: KeyUse;

  // Tiers remember for a while what they measured.
  tiers: TierUseCases['tiers'];
  setTierFeatures: TierUseCases['setTierFeatures'];

  /** Before a call that carries an idempotency key. */
  beginIdempotentCall: BeginCall;

  // What agents call; their credentials are in what they send.
  newNonce(input: { address: string }): { nonce: string; expiresInMs: number };
  enroll: Enroll;
  refresh: Refresh;

  // The data plane's ports.
  directoryFeed: DirectoryFeed;
  usageSink: UsageSink;
  budgetLedger: BudgetLedger;
  presenceSink: PresenceSink;
  healthSink: HealthSink;
}

export function createControl(
  options: ControlParts & {
    secrets: ServerSecrets;
    /** The provider that people may sign in with; left out: none. */
    oidc?: OidcConfig | undefined;
    /** What hashing a password takes; left out: as much as it should. */
    passwordCost?: PasswordCost | undefined;
  },
): Control {
  const { store, clock, random, secrets, passwordCost } = options;
  const parts: ControlParts = options;
  const passwords = createPasswords(random, passwordCost);
  const nonces = createNonces({ clock, random });
  const tokens = createAgentTokens({ secrets, clock });
  return {
    ...bindUseCases(parts, useCases),

    isBootstrapped: () => store.isBootstrapped(),
    bootstrap: (input) => bootstrap({ ...parts, passwords }, input),
    renewCredentials: (input) => renewCredentials({ ...parts, passwords }, input),
    defaultEndpoint: () => defaultEndpointOf(parts),
    defaultModel: () => defaultModelOf(parts),
    hasLivingAgent: async (agentId) => {
      const agent = await store.agentById(agentId);
      return agent !== null && agent.state !== 'dead';
    },

    ...createTiers(parts),
    ...createAccessControl({ ...options, passwords, oidc: options.oidc ?? null }),
    keyUse: createKeyUse(parts),
    beginIdempotentCall: createIdempotentCalls({ ...parts, sealingKey: secrets.answerKey }),

    newNonce: ({ address }) => nonces.issue(address),
    enroll: createEnroll({ ...parts, nonces, tokens }),
    refresh: createRefresh({ ...parts, nonces, tokens }),

    directoryFeed: createDirectoryFeed({ store, secrets }),
    usageSink: createUsageSink(parts),
    budgetLedger: createBudgetLedger(parts),
    presenceSink: createPresenceSink(parts),
    healthSink: createHealthSink(store),
  };
}
