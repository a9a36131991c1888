/**
 * An agent's two credentials. The **rotation token** `xrt_<generation>_<mac>` is derived: HMAC with
 * the server's key over agent and generation, so that every answer for one generation is the same
 * token and the store keeps hashes only. The **access token** is signed for the link and lives
 * 10 minutes.
 *
 * Invariants
 * C2 Rotation tokens are stored hashed and compared in constant time.
 * G1 A text that this server never made is told apart from an old token without asking the store.
 */
import { timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';
import { hmacSha256, sha256Hex } from '../../lib/crypto/hashing.ts';
import { signToken } from '../../lib/crypto/signedToken.ts';
import { accessTokenLifetimeMs } from '../limits.ts';
import type { ServerSecrets } from '../secrets.ts';

/** A new agent's generation. */
export const firstGeneration = 1;

/** What an enrolment or a refresh hands to the agent. */
export interface AgentCredentials {
  accessToken: string;
  /** Life of the access token in ms, counted from receipt: clocks may differ by hours. */
  expiresInMs: number;
  rotationToken: string;
}

export interface AgentTokens {
  /** Both credentials of a generation. */
  credentials(agent: { agentId: string; generation: number }): AgentCredentials;
  /** What the store keeps of the rotation token of a generation. */
  rotationHash(agent: { agentId: string; generation: number }): string;
  /** G1: the generation of a token that this server made for this agent, else undefined. */
  generationOf(presented: { agentId: string; rotationToken: string }): number | undefined;
}

const form = /^xrt_([1-9][0-9]{0,14})_[A-Za-z0-9_-]{43}$/;

export function createAgentTokens(options: {
  secrets: Pick<ServerSecrets, 'rotationKey' | 'signingKey'>;
  clock: Clock;
}): AgentTokens {
  const { secrets, clock } = options;
  const rotationToken = (agent: { agentId: string; generation: number }): string => {
    const data = `${agent.agentId}\n${agent.generation}`;
    const mac = hmacSha256({ key: secrets.rotationKey, data });
    return `xrt_${agent.generation}_${mac.toString('base64url')}`;
  };
  const accessToken = (agent: { agentId: string; generation: number }): string => {
    const exp = Math.ceil((clock.now() + accessTokenLifetimeMs) / 1000);
    const claims = { aud: 'link', sub: agent.agentId, gen: agent.generation, exp };
    const { keyId, privateKey } = secrets.signingKey;
    return signToken({ claims, keyId, privateKey });
  };
  return {
    credentials: (agent) => ({
      accessToken: accessToken(agent),
      expiresInMs: accessTokenLifetimeMs,
      rotationToken: rotationToken(agent),
    }),
    rotationHash: (agent) => sha256Hex(rotationToken(agent)),
    generationOf({ agentId, rotationToken: presented }) {
      const generation = Number(form.exec(presented)?.[1]);
      if (!Number.isSafeInteger(generation)) return undefined;
      const expected = Buffer.from(rotationToken({ agentId, generation }));
      const given = Buffer.from(presented);
      const same = expected.length === given.length && timingSafeEqual(expected, given);
      return same ? generation : undefined;
    },
  };
}
