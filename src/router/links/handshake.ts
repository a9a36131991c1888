/**
 * Who is it that says HELLO: the access token, what the directory says of the agent, and the
 * signature over our nonce with the agent's own key. All three must agree.
 *
 * Invariants
 * H1 A link is accepted only for an agent that is neither suspended nor dead (R2).
 * H2 A token is good when its generation is at least the directory's less one; a newer one is
 *    right, because the directory may lag behind the refresh that made it.
 * H3 What the directory does not know yet is looked up once before it is refused: an agent links in
 *    the moment in which its enrolment was committed. Where it cannot be looked up nobody is told
 *    that he is unknown: he keeps his token and comes again.
 * H4 From its judgement on a token's life is counted on the monotonic clock, and never for longer
 *    than tokens live: what the wall clock does then is nothing to a link.
 */
import type { AgentEntry } from '../../domain/directory.ts';
import type { Clock } from '../../lib/clock.ts';
import { publicKeyFromText, verifyText } from '../../lib/crypto/ed25519.ts';
import { verifyToken, type TokenClaims } from '../../lib/crypto/signedToken.ts';
import type { LinkCloseReason } from '../../protocol/link.ts';
import type { HelloMessage } from '../../protocol/messages/agentControl.ts';
import { helloMessage } from '../../protocol/signing.ts';
import { commonVersion } from '../../protocol/version.ts';
import type { Directory } from '../directory.ts';
import { longestTokenLifeMs, maxLinksPerAgent } from '../limits.ts';

export interface Accepted {
  ok: true;
  agent: AgentEntry;
  version: number;
  /** Monotonic, in ms. */
  tokenExpiresAtMs: number;
}

export interface Turned {
  ok: false;
  reason: LinkCloseReason;
  detail: string;
  /** Told before the link closes, when the agent can do something about it (or must give up). */
  goaway?: 'suspended' | 'dead' | 'token_expired';
  /** The directory may not have heard yet: look again before it is final (H3). */
  lookAgainFor?: 'agent' | 'token_key';
  /** No verdict: the directory could not be asked. */
  notKnownNow?: true;
}

interface Court {
  directory: Directory;
  clock: Clock;
}

/** Judges a HELLO that answers `nonce`. Never rejects. */
export async function judgeHello(
  hello: HelloMessage,
  options: Court & { nonce: string },
): Promise<Accepted | Turned> {
  const version = commonVersion(hello.versions);
  if (version === undefined) {
    return { ok: false, reason: 'version_unsupported', detail: 'no common link version' };
  }
  if (hello.link >= maxLinksPerAgent) return unauthorized('link number out of range');
  const token = await judgeToken(hello.accessToken, { ...options, agentId: hello.agentId });
  if (!token.ok) return token;
  const { agent, tokenExpiresAtMs } = token;
  const publicKey = publicKeyFromText(agent.publicKey);
  const { agentId, instance, link, accessToken, signature } = hello;
  const { nonce } = options;
  const message = helloMessage({ nonce, agentId, instance, link, accessToken });
  if (publicKey === undefined || !verifyText({ message, signature, publicKey })) {
    return unauthorized('signature over the nonce is wrong');
  }
  return { ok: true, agent, version, tokenExpiresAtMs };
}

/** Judges an access token that names `agentId`, at HELLO and when a link's token is renewed. */
export async function judgeToken(
  accessToken: string,
  options: Court & { agentId: string },
): Promise<Omit<Accepted, 'version'> | Turned> {
  const first = weighToken(accessToken, options);
  if (first.ok || first.lookAgainFor === undefined) return first;
  const { directory } = options;
  const looked = first.lookAgainFor === 'agent' ? directory.refresh() : directory.reloadTokenKeys();
  if ((await looked) === 'read') return weighToken(accessToken, options);
  // A reason that says nothing of the agent, so that it keeps its token.
  const detail = 'the directory cannot be read now';
  return { ok: false, reason: 'closed_by_peer', detail, notKnownNow: true };
}

function weighToken(
  accessToken: string,
  options: Court & { agentId: string },
): Omit<Accepted, 'version'> | Turned {
  const { directory, clock, agentId } = options;
  const nowMs = clock.now();
  const verdict = verifyToken(accessToken, {
    audience: 'link',
    nowMs,
    keyOf: (keyId) => publicKeyFromText(directory.tokenKey(keyId)?.x ?? ''),
  });
  if (verdict.kind === 'invalid') {
    const refused = unauthorized(`access token: ${verdict.reason}`);
    return verdict.reason === 'unknown_key' ? { ...refused, lookAgainFor: 'token_key' } : refused;
  }
  if (verdict.claims.sub !== agentId) return unauthorized('access token of another agent');
  const agent = directory.agent(agentId);
  if (agent === undefined) {
    return { ...unauthorized('agent is not enrolled here'), lookAgainFor: 'agent' };
  }
  const state = judgeState(agent);
  if (state !== undefined) return state;
  if (verdict.kind === 'expired') {
    const detail = 'access token has expired';
    return { ok: false, reason: 'token_expired', detail, goaway: 'token_expired' };
  }
  if (isVoid(verdict.claims, agent)) return unauthorized('access token is of an old generation');
  const lifeMs = Math.min(verdict.claims.exp * 1000 - nowMs, longestTokenLifeMs);
  const tokenExpiresAtMs = clock.monotonic() + lifeMs;
  return { ok: true, agent, tokenExpiresAtMs };
}

/** H1. Undefined: the agent may hold a link. */
export function judgeState(agent: AgentEntry): Turned | undefined {
  if (agent.state === 'enrolled') return undefined;
  const detail = `agent is ${agent.state}`;
  const { state: goaway } = agent;
  return { ok: false, reason: goaway === 'dead' ? 'unauthorized' : 'suspended', detail, goaway };
}

/** It was stopped, and what runs on it may end by itself. */
export function drains(agent: AgentEntry): boolean {
  return agent.state !== 'enrolled' && agent.stopMode === 'drain';
}

/** H2. */
function isVoid(claims: TokenClaims, agent: AgentEntry): boolean {
  return claims.gen < agent.generation - 1;
}

function unauthorized(detail: string): Turned {
  return { ok: false, reason: 'unauthorized', detail };
}
