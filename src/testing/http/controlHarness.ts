/**
 * A control plane over a real embedded database in a temporary directory, with time and the agents'
 * key pairs in the test's hands. Agents sign exactly what the product's agents sign.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  enrollMessage,
  joinKeyIdOf,
  refreshMessage,
  type AgentFacts,
} from '../../api/enrollment.ts';
import type { OidcConfig } from '../../control/access/accessControl.ts';
import { createControl, type Control } from '../../control/control.ts';
import type { EnrollOutcome } from '../../control/enrolment/enroll.ts';
import type { RefreshOutcome } from '../../control/enrolment/refresh.ts';
import type { ControlConfig } from '../../control/parts.ts';
import type { BootstrapCredentials, ModelWish } from '../../control/platform/bootstrap.ts';
import type { Caller, Principal } from '../../control/principal.ts';
import { openSecrets, type ServerSecrets } from '../../control/secrets.ts';
import { tierTable } from '../../domain/tiers/tiers.ts';
import { newKeyPair, publicKeyText, signText, type Ed25519Pair } from '../../lib/crypto/ed25519.ts';
import { silentLogger } from '../../lib/log.ts';
import { systemRandom } from '../../lib/random.ts';
import { openStore } from '../../store/openStore.ts';
import type { Store } from '../../store/store.ts';
import { FakeClock } from '../fakeClock.ts';
import { auditNote } from '../database/storeRows.ts';

export const harnessModel: ModelWish = {
  name: 'Test model',
  source: 'file:/models/test.gguf',
  format: 'gguf',
  task: 'generate',
  sizeBytes: null,
  sha256: null,
  contextLength: null,
};

/** Facts of a machine with a Xeon and nothing else. */
export const xeonFacts: AgentFacts = {
  hostname: 'lab-7',
  os: 'Linux 6.1',
  arch: 'x64',
  agentVersion: '0.1.0',
  nodeVersion: '24.0.0',
  cpu: { vendor: 'intel', serverClass: true, model: 'Xeon', cores: 8 },
  memoryBytes: 64e9,
  accelerators: [],
  engine: 'embedded',
};

const host = 'xim.test:8080';
const address = '192.0.2.7';

export interface ControlHarness {
  control: Control;
  store: Store;
  clock: FakeClock;
  secrets: ServerSecrets;
  credentials: BootstrapCredentials;
  /** The platform's admin. */
  admin: Caller & { principal: Extract<Principal, { kind: 'user' }> };
  /** A join key of project `default`, as pasted. */
  joinKey(wish?: {
    maxUses?: number;
    ttlMs?: number;
    name?: string;
    region?: string;
  }): Promise<string>;
  /** A second control plane over the same database, as another process would have it. */
  anotherServer(): Promise<Control>;
  close(): Promise<void>;
}

/** Opens one that has been set up already. `url` names another database than a new embedded one. */
export async function openControlHarness(
  config: Partial<ControlConfig> = {},
  options: { url?: string; oidc?: OidcConfig } = {},
): Promise<ControlHarness> {
  const directory = await mkdtemp(path.join(tmpdir(), 'xim-control-'));
  const clock = new FakeClock();
  const { url = path.join(directory, 'xim.db'), oidc } = options;
  const file = path.join(directory, 'secrets.key');
  const { control, store, secrets } = await openServer({ url, file, clock, config, oidc });
  const servers = [store];
  const outcome = await control.bootstrap({
    adminEmail: 'admin@localhost',
    tier: 'cpu_intel_optimized',
    model: harnessModel,
    keep: () => Promise.resolve(),
  });
  if (!outcome.ok) throw new Error(outcome.reason);
  const user = await store.userByEmail('admin@localhost');
  if (user === null) throw new Error('no admin');
  const { id: userId, email, role, passwordHash } = user;
  // As its owner would have changed it, but to the same: hashing takes a quarter of a second.
  await store.setPassword({
    userId,
    passwordHash: passwordHash ?? '',
    mustChangePassword: false,
    keepSessionSha256: null,
    audit: auditNote({ action: 'user.change_password', targetKind: 'user', projectId: null }),
  });
  const admin = testCaller({ kind: 'user', userId, email, role } as const);
  return {
    control,
    store,
    clock,
    secrets,
    admin,
    credentials: outcome.credentials,
    joinKey: async (wish = {}) => {
      const owner = { kind: 'project', project: 'default' } as const;
      const made = await control.createJoinKey({ caller: admin, owner, wish });
      if (!made.ok) throw new Error(made.reason);
      return made.text;
    },
    anotherServer: async () => {
      const server = await openServer({ url, file, clock, config, oidc });
      servers.push(server.store);
      return server.control;
    },
    close: async () => {
      for (const server of servers) await server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A quarter of a second of each sign-in would be most of what these tests take. */
const passwordCost = { ln: 8, r: 8, p: 1 };

async function openServer(options: {
  url: string;
  file: string;
  clock: FakeClock;
  config: Partial<ControlConfig>;
  oidc?: OidcConfig | undefined;
}): Promise<{ control: Control; store: Store; secrets: ServerSecrets }> {
  const { url, file, clock, oidc } = options;
  const [random, log] = [systemRandom, silentLogger];
  const store = await openStore({ url, log, clock, random });
  const secrets = await openSecrets({ file, store, random, log });
  const config = {
    disconnectedDiesAfterMs: 30 * 86_400_000,
    defaultRegion: 'local',
    tiers: tierTable(),
    usersCreateProjects: false,
    allowUnsandboxed: true,
    ...options.config,
  };
  return {
    control: createControl({ store, clock, random, log, secrets, config, oidc, passwordCost }),
    store,
    secrets,
  };
}

/** A call by `principal`, as http would hand it to a use-case. */
export function testCaller<P extends Principal>(principal: P): Caller & { principal: P } {
  return { principal, requestId: 'req_test', address, claim: null };
}

/** A machine that would be an agent: its key pair, and what it presents. */
export interface TestAgent {
  readonly publicKey: string;
  /** Takes a nonce (unless given), signs and enrols. */
  enroll(request: { joinKey: string; nonce?: string; name?: string }): Promise<EnrollOutcome>;
  /** Takes a nonce (unless given), signs and refreshes. */
  refresh(request: {
    agentId: string;
    rotationToken: string;
    nonce?: string;
  }): Promise<RefreshOutcome>;
}

export function newTestAgent(
  control: Pick<Control, 'newNonce' | 'enroll' | 'refresh'>,
  options: { pair?: Ed25519Pair; facts?: AgentFacts } = {},
): TestAgent {
  const { pair = newKeyPair(), facts = xeonFacts } = options;
  const { privateKey } = pair;
  const publicKey = publicKeyText(pair.publicKey);
  const freshNonce = (): string => control.newNonce({ address }).nonce;
  return {
    publicKey,
    enroll({ joinKey, nonce = freshNonce(), name }) {
      const joinKeyId = joinKeyIdOf(joinKey) ?? '';
      const message = enrollMessage({ nonce, host, joinKeyId, publicKey, facts });
      const signature = signText({ message, privateKey });
      const signedMessages = [message];
      return control.enroll({
        joinKey,
        publicKey,
        nonce,
        facts,
        name,
        signature,
        signedMessages,
        address,
      });
    },
    refresh({ agentId, rotationToken, nonce = freshNonce() }) {
      const message = refreshMessage({ agentId, rotationToken, nonce });
      const signature = signText({ message, privateKey });
      const signedMessages = [message];
      return control.refresh({
        agentId,
        rotationToken,
        nonce,
        signature,
        signedMessages,
        address,
      });
    },
  };
}

/** An agent that has enrolled, or an error with the refusal. */
export async function enrolledAgent(
  harness: Pick<ControlHarness, 'control' | 'joinKey'>,
): Promise<{ machine: TestAgent; agentId: string; rotationToken: string; accessToken: string }> {
  const machine = newTestAgent(harness.control);
  const outcome = await machine.enroll({ joinKey: await harness.joinKey() });
  if (!outcome.ok) throw new Error(outcome.reason);
  const { rotationToken, accessToken } = outcome.credentials;
  return { machine, agentId: outcome.agent.agentId, rotationToken, accessToken };
}
