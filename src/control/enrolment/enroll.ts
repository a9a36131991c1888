/**
 * `POST /v1/enroll`: a join key and a key pair become an agent.
 *
 * Order of checks: form of the join key; nonce (taken, whatever follows); signature; then, in one
 * transaction of the store, secret, revocation, an earlier enrolment of this key pair, expiry and
 * uses.
 *
 * Invariants
 * C1 A join key is consumed at most max_uses times, under any concurrency.
 * E1 The same key pair with the same join key gets the same agent, consumes no use, and voids all
 *    tokens that it was given before; never after the agent has linked.
 * E2 Nothing that an agent says of itself decides what it belongs to: owner, region, tiers and
 *    storage limit come from the join key.
 */
import { publicKeyFromText, verifyText } from '../../lib/crypto/ed25519.ts';
import { base32 } from '../../lib/ids.ts';
import { fromBase64url, sha256 } from '../../lib/crypto/hashing.ts';
import type { Random } from '../../lib/random.ts';
import {
  effectiveTiers,
  isTierSlug,
  type AcceleratorFacts,
  type CpuFacts,
} from '../../domain/tiers/tiers.ts';
import type { AgentRow } from '../../store/contract/agentStore.ts';
import type { EnrollOutcome as StoreOutcome } from '../../store/contract/enrolmentStore.ts';
import type { JoinKeyRow } from '../../store/contract/joinKeyStore.ts';
import {
  enrolmentRetryGraceMs,
  enrolmentsWaiting,
  joinKeyTtlMs,
  signedMessagesPerCall,
  staleAttempts,
} from '../limits.ts';
import type { ControlParts } from '../parts.ts';
import { freeName, wishedName } from './agentName.ts';
import { firstGeneration, type AgentCredentials, type AgentTokens } from './agentTokens.ts';
import { parseJoinKey } from './joinKeyText.ts';
import type { Nonces } from './nonces.ts';
import { createTurns } from './turns.ts';

/** What enrolment reads of an agent's facts; the rest is stored as it came, checked by http. */
export interface EnrolmentFacts {
  hostname: string;
  cpu: CpuFacts;
  accelerators: readonly AcceleratorFacts[];
}

export interface EnrollRequest {
  /** As pasted: `xjk_<id>_<secret>`. */
  joinKey: string;
  /** Ed25519, 32 raw bytes in base64url. */
  publicKey: string;
  nonce: string;
  facts: EnrolmentFacts;
  /** Name that the agent asks for. */
  name: string | undefined;
  signature: string;
  /** What the signature may cover: one message per name of this server; one must verify. */
  signedMessages: readonly Uint8Array[];
  /** For the log. */
  address: string;
}

export type EnrollRefusal =
  | 'join_key_malformed'
  | 'join_key_unknown'
  | 'join_key_wrong'
  | 'join_key_expired'
  | 'join_key_revoked'
  | 'join_key_used_up'
  | 'nonce_invalid'
  | 'public_key_malformed'
  | 'signature_invalid'
  /** This key pair has enrolled with this join key and has linked since: it needs no new agent. */
  | 'already_linked'
  | 'agent_suspended'
  | 'agent_dead'
  /** Too many enrolments wait; try again soon. */
  | 'busy';

export interface EnrolledAgent {
  agentId: string;
  workerId: string;
  name: string;
  region: string;
  ownership: 'project' | 'shared';
  /** A repeated enrolment: the agent was there already. */
  resumed: boolean;
}

export type EnrollOutcome =
  | { ok: true; agent: EnrolledAgent; credentials: AgentCredentials }
  | { ok: false; reason: EnrollRefusal };

export type Enroll = (request: EnrollRequest) => Promise<EnrollOutcome>;

type Parts = Pick<ControlParts, 'store' | 'clock' | 'random' | 'log'> & {
  nonces: Nonces;
  tokens: AgentTokens;
};

export function createEnroll(parts: Parts): Enroll {
  const { nonces, log } = parts;
  const turns = createTurns({ waiting: enrolmentsWaiting });
  return async (request) => {
    const { address } = request;
    const presented = parseJoinKey(request.joinKey);
    if (presented === undefined) return refuse(parts, { address, reason: 'join_key_malformed' });
    const joinKeyId = presented.id;
    if (!nonces.take(request.nonce)) {
      return refuse(parts, { address, joinKeyId, reason: 'nonce_invalid' });
    }
    const problem = signatureProblem(request);
    if (problem !== undefined) return refuse(parts, { address, joinKeyId, reason: problem });
    const outcome =
      (await turns.run(joinKeyId, () => consume(parts, { request, ...presented }))) ??
      ({ ok: false, reason: 'busy' } as const);
    if (!outcome.ok) return refuse(parts, { address, joinKeyId, reason: outcome.reason });
    const { agent } = outcome;
    log.info(
      { agentId: agent.agentId, joinKeyId, address, resumed: agent.resumed },
      'agent enrolled',
    );
    return outcome;
  };
}

function refuse(
  { log }: Pick<Parts, 'log'>,
  refusal: { reason: EnrollRefusal; address: string; joinKeyId?: string },
): { ok: false; reason: EnrollRefusal } {
  log.warn(refusal, 'enrolment refused');
  return { ok: false, reason: refusal.reason };
}

function signatureProblem(
  request: Pick<EnrollRequest, 'publicKey' | 'signature' | 'signedMessages'>,
): 'public_key_malformed' | 'signature_invalid' | undefined {
  const publicKey = publicKeyFromText(request.publicKey);
  if (publicKey === undefined) return 'public_key_malformed';
  const { signature } = request;
  const good = request.signedMessages
    .slice(0, signedMessagesPerCall)
    .some((message) => verifyText({ message, signature, publicKey }));
  return good ? undefined : 'signature_invalid';
}

interface Consumption {
  request: EnrollRequest;
  /** Of the join key. */
  id: string;
  secretSha256: string;
}

/** C1, E1: the store's transaction, repeated while what it was given had been overtaken. */
async function consume(parts: Parts, input: Consumption): Promise<EnrollOutcome> {
  const { store, clock, tokens } = parts;
  const { request, id: joinKeyId, secretSha256 } = input;
  const key = await store.joinKeyById(joinKeyId);
  if (key === null) return { ok: false, reason: 'join_key_unknown' };
  const fresh = newAgent(parts, { key, request });
  let { name } = fresh;
  for (let attempt = 0; attempt < staleAttempts + staleAttempts; attempt += 1) {
    const resume = await resumption(parts, { joinKeyId, publicKey: request.publicKey });
    if (resume === null && isFromTheFuture(key, clock.now())) {
      return { ok: false, reason: 'join_key_expired' };
    }
    const outcome = await store.enroll({
      joinKeyId,
      secretSha256,
      nowMs: clock.now(),
      agent: { ...fresh, name },
      resume,
      retryGraceMs: enrolmentRetryGraceMs,
    });
    if (outcome.ok) {
      const { agent, resumed } = outcome;
      const credentials = tokens.credentials({ agentId: agent.id, generation: agent.generation });
      return { ok: true, agent: enrolled(agent, resumed), credentials };
    }
    if (outcome.reason === 'name_taken') {
      const { projectId } = key;
      const takenOf = (names: readonly string[]): Promise<string[]> =>
        store.takenAgentNames({ projectId, names });
      name = await freeName({ wish: fresh.name, takenOf, workerId: fresh.workerId, attempt });
    } else if (outcome.reason !== 'stale') {
      return { ok: false, reason: refusals[outcome.reason] };
    }
  }
  return { ok: false, reason: 'busy' };
}

/**
 * Whether the clock was set back, by more than the longest life of a key, since the key was made:
 * it would live for as much longer.
 */
function isFromTheFuture(key: JoinKeyRow, nowMs: number): boolean {
  return nowMs < key.createdAtMs - joinKeyTtlMs.most;
}

const refusals = {
  unknown_key: 'join_key_unknown',
  wrong_secret: 'join_key_wrong',
  expired: 'join_key_expired',
  revoked: 'join_key_revoked',
  used_up: 'join_key_used_up',
  already_linked: 'already_linked',
  agent_suspended: 'agent_suspended',
  agent_dead: 'agent_dead',
} as const satisfies Record<
  Exclude<Extract<StoreOutcome, { ok: false }>['reason'], 'name_taken' | 'stale'>,
  EnrollRefusal
>;

/**
 * E1: what a repeated enrolment moves the agent to. Two generations on, because access tokens are
 * good down to one below the agent's: so no earlier token of either kind is good any more.
 */
async function resumption(
  { store, tokens }: Parts,
  pair: { joinKeyId: string; publicKey: string },
): Promise<Parameters<Parts['store']['enroll']>[0]['resume']> {
  const earlier = await store.agentByEnrollment(pair);
  if (earlier === null) return null;
  const { id: agentId, generation } = earlier;
  const next = { agentId, generation: generation + 2 };
  const tokenHash = tokens.rotationHash(next);
  return { agentId, generation, next: { generation: next.generation, tokenHash } };
}

/** E2: the row of an agent that does not exist yet. */
function newAgent(
  { clock, random, tokens }: Parts,
  { key, request }: { key: JoinKeyRow; request: EnrollRequest },
): AgentRow {
  const { facts, publicKey } = request;
  const id = newUuid(random);
  const nowMs = clock.now();
  const supportedTiers = key.supportedTiers?.filter(isTierSlug) ?? null;
  const ownership = key.projectId === null ? 'shared' : 'project';
  const { cpu, accelerators, hostname } = facts;
  return {
    id,
    workerId: workerIdOf(publicKey),
    name: wishedName({ given: request.name, joinKey: key.name, hostname }),
    description: '',
    projectId: key.projectId,
    joinKeyId: key.id,
    region: key.region,
    state: 'enrolled',
    stopMode: 'cut',
    stateSinceMs: nowMs,
    suspendedReason: null,
    generation: firstGeneration,
    publicKey,
    tokenHash: tokens.rotationHash({ agentId: id, generation: firstGeneration }),
    previousTokenHash: null,
    supportedTiers,
    effectiveTiers: effectiveTiers({ accelerators, cpu, ownership, supportedTiers }),
    maxConcurrentRequests: 0,
    boundEndpointIds: null,
    storageLimitBytes: key.storageLimitBytes,
    facts: JSON.stringify(facts),
    firstLinkedAtMs: null,
    lastSeenAtMs: null,
    createdAtMs: nowMs,
    version: 1,
  };
}

function enrolled(agent: AgentRow, resumed: boolean): EnrolledAgent {
  return {
    agentId: agent.id,
    workerId: agent.workerId,
    name: agent.name,
    region: agent.region,
    ownership: agent.projectId === null ? 'shared' : 'project',
    resumed,
  };
}

/** `wrk_` and the first 128 bits of the SHA-256 of the public key, in base 32. */
export function workerIdOf(publicKey: string): string {
  const bytes = fromBase64url(publicKey) ?? Buffer.alloc(0);
  return `wrk_${base32(sha256(bytes).subarray(0, 16))}`;
}

/** A random UUID (version 4) from the injected source. */
function newUuid(random: Random): string {
  const bytes = random.bytes(16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
