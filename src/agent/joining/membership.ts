/**
 * Who the agent is and to which server it belongs, before it links: read from the state file, or
 * made by an enrolment.
 *
 * Invariant
 * F2 The key pair is on disk before the server hears of it, so that a lost answer is asked for
 *    again with the same key.
 */
import { isDeepStrictEqual } from 'node:util';
import type { AgentFacts } from '../../api/enrollment.ts';
import type { Clock } from '../../lib/clock.ts';
import { sha256Hex } from '../../lib/crypto/hashing.ts';
import { directoryProblem } from '../../lib/files/makeDirectory.ts';
import type { Random } from '../../lib/random.ts';
import type { AgentConfig } from '../agentConfig.ts';
import { createControlClient, type ControlClient } from './controlClient.ts';
import { enroll } from './enroll.ts';
import { identityFromPem, newIdentity, type Identity } from './identity.ts';
import { parseServerAddress, type ServerAddress } from './serverAddress.ts';
import type { AgentState, Enrolment, StateStore } from './stateFile.ts';

export interface Membership {
  address: ServerAddress;
  identity: Identity;
  enrolment: Enrolment;
  client: ControlClient;
  /** The access token of an enrolment made just now. */
  fresh: { accessToken: string; expiresInSeconds: number; receivedAtMs: number } | undefined;
}

export type MembershipOutcome =
  | { kind: 'member'; membership: Membership }
  | { kind: 'refused'; message: string }
  | { kind: 'cancelled' };

export interface MembershipParts {
  config: AgentConfig;
  store: StateStore;
  /** Probed only when they are needed. */
  facts: () => Promise<AgentFacts>;
  clock: Clock;
  random: Random;
  signal: AbortSignal;
  onRetry: (retry: { message: string; delayMs: number }) => void;
}

/** The membership of the state file, or a new one by the join key. */
export async function findMembership(parts: MembershipParts): Promise<MembershipOutcome> {
  const { config, store } = parts;
  const state = store.current();
  const addressed = addressOf(config, state);
  if (addressed.kind === 'invalid') return { kind: 'refused', message: addressed.message };
  const { address } = addressed;
  const known = state === undefined ? undefined : identityFromPem(state.privateKey);
  if (state !== undefined && known === undefined) {
    const message = 'The key in the state file is damaged: move the file away and enrol again.';
    return { kind: 'refused', message };
  }
  if (state?.enrolment && known !== undefined) {
    const server = { url: address.base, pin: address.pin };
    // What stands there already needs no room: a full disk keeps no agent from coming back.
    if (!isDeepStrictEqual(state.server, server)) {
      const unsaved = await trySave(store, { ...state, server });
      if (unsaved !== undefined) return unsaved;
    }
    const client = createControlClient({ address, clock: parts.clock });
    const { enrolment } = state;
    const membership = { address, identity: known, enrolment, client, fresh: undefined };
    return { kind: 'member', membership };
  }
  return join(parts, address, known ?? newIdentity());
}

/**
 * After the server has disowned the agent: a new key pair and a new enrolment, when a join key was
 * given that is not the one which made the old.
 */
export async function joinAnew(
  parts: MembershipParts,
  old: Membership,
): Promise<MembershipOutcome | undefined> {
  const { joinKey } = parts.config;
  if (joinKey === null || sha256Hex(joinKey) === old.enrolment.joinKeyHash) return undefined;
  return join(parts, old.address, newIdentity());
}

async function join(
  parts: MembershipParts,
  address: ServerAddress,
  identity: Identity,
): Promise<MembershipOutcome> {
  const { config, store, clock, random, signal, onRetry } = parts;
  const { joinKey, name } = config;
  if (joinKey === null) {
    const message =
      'This machine has not joined yet: paste the line of a join key, or give the key in ' +
      'XIM_JOIN_KEY.';
    return { kind: 'refused', message };
  }
  const server = { url: address.base, pin: address.pin };
  const before: AgentState = {
    version: 1,
    privateKey: identity.secretPem(),
    server,
    enrolment: null,
  };
  const unsaved = await trySave(store, before); // F2
  if (unsaved !== undefined) return unsaved;
  const client = createControlClient({ address, clock });
  const facts = await parts.facts();
  const means = { client, clock, random, signal, onRetry };
  const outcome = await enroll({ ...means, address, identity, joinKey, facts, name });
  if (outcome.kind !== 'enrolled') {
    client.close();
    return outcome.kind === 'refused' ? { kind: 'refused', message: outcome.message } : outcome;
  }
  const { answer, receivedAtMs } = outcome;
  const enrolment: Enrolment = {
    agentId: answer.agent_id,
    workerId: answer.worker_id,
    name: answer.name,
    region: answer.region,
    linkUrl: answer.link_url,
    rotationToken: answer.rotation_token,
    joinKeyHash: sha256Hex(joinKey),
  };
  const lost = await trySave(store, { ...before, enrolment });
  if (lost !== undefined) {
    client.close();
    return lost;
  }
  const fresh = {
    accessToken: answer.access_token,
    expiresInSeconds: answer.expires_in,
    receivedAtMs,
  };
  return { kind: 'member', membership: { address, identity, enrolment, client, fresh } };
}

/** Undefined when the state is on disk. */
async function trySave(
  store: StateStore,
  state: AgentState,
): Promise<{ kind: 'refused'; message: string } | undefined> {
  const hadJoined = (store.current()?.enrolment ?? null) !== null && state.enrolment !== null;
  try {
    await store.save(state);
    return undefined;
  } catch (error) {
    const message =
      `The agent’s state cannot be written to ${store.directory}: ${directoryProblem(error)}. ` +
      'Put that right and start again' +
      (hadJoined ? '.' : ': within the minutes of its life the same join key still works.');
    return { kind: 'refused', message };
  }
}

/** What was given now stands before what was known: a server may have moved. */
function addressOf(
  config: AgentConfig,
  state: AgentState | undefined,
): ReturnType<typeof parseServerAddress> {
  const url = config.serverUrl ?? state?.server?.url;
  if (url === undefined) {
    const message = 'No server is known yet: give its address with --server https://host:port.';
    return { kind: 'invalid', message };
  }
  const sameServer = config.serverUrl === null || config.serverUrl === state?.server?.url;
  const pin = config.pin ?? (sameServer ? (state?.server?.pin ?? null) : null);
  return parseServerAddress({ url, pin });
}
