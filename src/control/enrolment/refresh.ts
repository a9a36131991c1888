/**
 * `POST /v1/enroll/refresh`: a rotation token and the agent's signature become the next pair of
 * tokens. The token travels in the body; no other authentication takes part.
 *
 * In this order: nonce (taken, whatever follows); signature, wrong → nothing changes; a token that
 * this server never made → nothing changes; then in one transaction of the store: the current token
 * → its successor; the previous one → the same successor, with no time limit, until the successor
 * has been used; one of a later generation than the database knows → its successor, because the
 * database was restored from a backup; any older one → the agent is suspended, and by the
 * directory's change its link is closed.
 *
 * Invariants
 * F1 However many refreshes run at once with one token, they yield one successor.
 * F2 Only a holder of the agent's private key can change anything, also for the worse.
 * F3 An agent that lost an answer gets it again, whenever it asks.
 * F4 No restored backup costs an honest agent its credentials.
 */
import { publicKeyFromText, verifyText } from '../../lib/crypto/ed25519.ts';
import type { RotateInput, RotateOutcome } from '../../store/contract/enrolmentStore.ts';
import { signedMessagesPerCall, staleAttempts } from '../limits.ts';
import type { ControlParts } from '../parts.ts';
import type { AgentCredentials, AgentTokens } from './agentTokens.ts';
import type { Nonces } from './nonces.ts';
import { createRotations, type Rotate } from './rotations.ts';

export interface RefreshRequest {
  agentId: string;
  rotationToken: string;
  nonce: string;
  signature: string;
  /** What the signature may cover; one must verify. */
  signedMessages: readonly Uint8Array[];
  /** For the log. */
  address: string;
  /**
   * Asked for an agent that is suspended: whether that has ended while one could wait for it. Only
   * whoever has proved to be the agent is waited with.
   */
  released?: () => Promise<boolean>;
}

export type RefreshRefusal =
  | 'nonce_invalid'
  /** Also for an agent that does not exist: there is no key to check with. */
  | 'signature_invalid'
  /** Not a token that this server made for this agent. */
  | 'rotation_token_invalid'
  /** An old token, with the agent's key: somebody has a copy. The agent is suspended now. */
  | 'rotation_token_reused'
  | 'agent_suspended'
  | 'agent_dead'
  /** Overtaken again and again; try again soon. */
  | 'busy';

export type RefreshOutcome =
  | { ok: true; credentials: AgentCredentials }
  | { ok: false; reason: RefreshRefusal };

export type Refresh = (request: RefreshRequest) => Promise<RefreshOutcome>;

type Parts = Pick<ControlParts, 'store' | 'clock' | 'log'> & {
  nonces: Nonces;
  tokens: AgentTokens;
};

export function createRefresh(parts: Parts): Refresh {
  const { store, nonces, tokens, log } = parts;
  const means = { ...parts, rotateOne: createRotations(store) };
  return async (request) => {
    const { agentId, address, rotationToken } = request;
    const refuse = (reason: RefreshRefusal): RefreshOutcome => {
      log.warn({ agentId, address, reason }, 'refresh refused');
      return { ok: false, reason };
    };
    if (!nonces.take(request.nonce)) return refuse('nonce_invalid');
    const agent = await store.agentById(agentId);
    if (agent === null || !signatureIsGood(request, agent.publicKey)) {
      return refuse('signature_invalid');
    }
    const generation = tokens.generationOf({ agentId, rotationToken });
    if (generation === undefined) return refuse('rotation_token_invalid');
    const presented = { generation, hash: tokens.rotationHash({ agentId, generation }) };
    const turn = { agentId, presented, generation: agent.generation };
    let outcome = await rotate(means, turn);
    if (isSuspended(outcome) && (await request.released?.())) outcome = await rotate(means, turn);
    if (!outcome.ok) return refuse(refusals[outcome.reason]);
    if (outcome.ahead) {
      log.warn({ agentId }, 'an agent has a newer token than the database: it was set back (F4)');
    }
    const credentials = tokens.credentials({ agentId, generation: outcome.generation });
    return { ok: true, credentials };
  };
}

function isSuspended(outcome: RotateOutcome): boolean {
  return !outcome.ok && outcome.reason === 'agent_suspended';
}

function signatureIsGood(
  request: Pick<RefreshRequest, 'signature' | 'signedMessages'>,
  publicKeyOfAgent: string,
): boolean {
  const publicKey = publicKeyFromText(publicKeyOfAgent);
  if (publicKey === undefined) throw new Error('an agent with a malformed public key is stored');
  const { signature } = request;
  return request.signedMessages
    .slice(0, signedMessagesPerCall)
    .some((message) => verifyText({ message, signature, publicKey }));
}

/** The store's transaction, repeated while another refresh was quicker. */
async function rotate(
  {
    store,
    clock,
    tokens,
    rotateOne,
  }: Pick<Parts, 'store' | 'clock' | 'tokens'> & {
    rotateOne: Rotate;
  },
  input: Pick<RotateInput, 'agentId' | 'presented' | 'generation'>,
): Promise<RotateOutcome> {
  const { agentId, presented } = input;
  let { generation } = input;
  for (let attempt = 0; attempt < staleAttempts; attempt += 1) {
    const next = Math.max(generation, presented.generation) + 1;
    const nextHash = tokens.rotationHash({ agentId, generation: next });
    const nowMs = clock.now();
    const outcome = await rotateOne({ agentId, presented, generation, nextHash, nowMs });
    if (outcome.ok || outcome.reason !== 'stale') return outcome;
    generation = (await store.agentById(agentId))?.generation ?? generation;
  }
  return { ok: false, reason: 'stale' };
}

const refusals = {
  stale: 'busy',
  unknown_agent: 'signature_invalid',
  agent_dead: 'agent_dead',
  agent_suspended: 'agent_suspended',
  reused: 'rotation_token_reused',
} as const satisfies Record<Extract<RotateOutcome, { ok: false }>['reason'], RefreshRefusal>;
