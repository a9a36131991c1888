/**
 * `GET /v1/enroll/nonce`, `POST /v1/enroll`, `POST /v1/enroll/refresh`: calls of machines that
 * have no key yet, or only a rotation token. What authenticates them travels in the body and is
 * signed; no header, cookie or API key takes part. The checks and the order of them are the
 * control plane's.
 *
 * The signature covers the host that the agent was given, so that a foreign server cannot pass an
 * enrolment on to us. Which name of ours that was, only the agent knows: each of `knownHosts` is
 * tried.
 */
import type { z } from 'zod';
import {
  enrollMessage,
  enrollRequestSchema,
  joinKeyIdOf,
  refreshMessage,
  refreshRequestSchema,
  type EnrollAnswer,
  type EnrollRequest,
  type RefreshAnswer,
} from '../api/enrollment.ts';
import type { ErrorName } from '../api/errors.ts';
import type { HandlerOf } from '../api/routes.ts';
import type { Control } from '../control/control.ts';
import type { EnrollOutcome, EnrollRefusal } from '../control/enrolment/enroll.ts';
import type { RefreshOutcome, RefreshRefusal } from '../control/enrolment/refresh.ts';
import type { AddressLimiter } from './addresses/addressLimiter.ts';
import type { ResumeWaits } from './agents/resumeWaits.ts';
import type { Handler } from './exchanges/dispatch.ts';
import type { Exchange, RefusalDetails } from './exchanges/exchange.ts';
import { invalidInput } from './exchanges/invalidInput.ts';
import type { KnownHosts } from './addresses/knownHosts.ts';
import type { HttpLimits } from './limits.ts';
import { readOrRefuse, type ReadingBudget } from './listening/readBody.ts';

/** What the control plane does for enrolment. */
export type EnrolmentPlane = Pick<Control, 'newNonce' | 'enroll' | 'refresh'>;

interface Options {
  control: EnrolmentPlane;
  resumeWaits: ResumeWaits;
  knownHosts: () => KnownHosts;
  limiters: Readonly<Record<'nonce' | 'enroll' | 'refresh', AddressLimiter>>;
  limits: HttpLimits;
  budget: ReadingBudget;
}

/**
 * Resolved by the agent against the address that it was given, which is the one that it can reach.
 */
const linkUrl = 'v1/agents/link';

export function createEnrolmentHandlers(
  options: Options,
): Readonly<Record<HandlerOf<'enrolment'>, Handler>> {
  const { control, limiters, resumeWaits } = options;
  return {
    nonce(exchange) {
      if (limited(exchange, limiters.nonce)) return;
      const { nonce, expiresInMs } = control.newNonce({ address: exchange.address });
      exchange.json(200, { nonce, expires_in: expiresInMs / 1000 }, noStore);
    },
    async enroll(exchange) {
      if (limited(exchange, limiters.enroll)) return;
      const read = await readInput(exchange, enrollRequestSchema, options);
      if (read === undefined) return;
      const { data: body, input } = read;
      // What was signed, as it came: a newer agent may say more than the schema knows.
      const facts = (input as EnrollRequest).facts;
      if (!isShallow(facts, factLevels)) {
        const message = `Invalid value for 'facts': at most ${factLevels} levels.`;
        return exchange.refuse('invalid_value', message, { param: 'facts' });
      }
      const hosts = options.knownHosts();
      const outcome = await control.enroll({
        joinKey: body.join_key,
        publicKey: body.public_key,
        nonce: body.nonce,
        facts: body.facts,
        name: body.name,
        signature: body.signature,
        signedMessages: signedMessages(exchange, { body: { ...body, facts }, hosts }),
        address: exchange.address,
      });
      if (outcome.ok) exchange.json(201, enrollAnswer(outcome), noStore);
      else refuse(exchange, enrollRefusals[outcome.reason]);
    },
    async refresh(exchange) {
      if (limited(exchange, limiters.refresh)) return;
      const read = await readInput(exchange, refreshRequestSchema, options);
      if (read === undefined) return;
      const { agent_id: agentId, rotation_token: rotationToken, nonce, signature } = read.data;
      const waitMs = (read.data.wait_seconds ?? 0) * 1000;
      const signal = goneSignal(exchange);
      const outcome = await control.refresh({
        agentId,
        rotationToken,
        nonce,
        signature,
        signedMessages: [refreshMessage({ agentId, rotationToken, nonce })],
        address: exchange.address,
        released: async () =>
          waitMs > 0 && (await resumeWaits.released({ agentId, waitMs, signal })),
      });
      if (outcome.ok) exchange.json(200, refreshAnswer(outcome), noStore);
      else refuse(exchange, refreshRefusals[outcome.reason]);
    },
  };
}

/** Levels of objects and lists in an agent's facts. */
const factLevels = 16;

const noStore = ['cache-control', 'no-store'];

function signedMessages(
  exchange: Exchange,
  input: { body: EnrollRequest; hosts: KnownHosts },
): Buffer[] {
  const { nonce, public_key: publicKey, facts, join_key: joinKey } = input.body;
  const joinKeyId = joinKeyIdOf(joinKey) ?? '';
  return input.hosts
    .candidates(exchange.request.headers.host)
    .map((host) => enrollMessage({ nonce, host, joinKeyId, publicKey, facts }));
}

type Granted = Extract<EnrollOutcome, { ok: true }>;

function enrollAnswer({ agent, credentials }: Granted): EnrollAnswer {
  return {
    agent_id: agent.agentId,
    worker_id: agent.workerId,
    name: agent.name,
    region: agent.region,
    link_url: linkUrl,
    access_token: credentials.accessToken,
    expires_in: credentials.expiresInMs / 1000,
    rotation_token: credentials.rotationToken,
  };
}

function refreshAnswer({ credentials }: Extract<RefreshOutcome, { ok: true }>): RefreshAnswer {
  return {
    access_token: credentials.accessToken,
    expires_in: credentials.expiresInMs / 1000,
    rotation_token: credentials.rotationToken,
  };
}

function limited(exchange: Exchange, limiter: AddressLimiter): boolean {
  const admitted = limiter.take(exchange.address);
  if (admitted.ok) return false;
  const { retryAfterMs } = admitted;
  const message = 'Too many calls from this address. Try again later.';
  exchange.refuse('rate_limited_requests', message, { retryAfterMs });
  return true;
}

/** Aborts when the caller's connection closes. */
function goneSignal({ response }: Exchange): AbortSignal {
  const gone = new AbortController();
  if (response.destroyed) gone.abort();
  response.once('close', () => gone.abort());
  return gone.signal;
}

/** Whether a value nests at most so many levels: deeper ones could not be hashed. */
function isShallow(value: unknown, levels: number): boolean {
  if (value === null || typeof value !== 'object') return true;
  return levels > 0 && Object.values(value).every((inner) => isShallow(inner, levels - 1));
}

/**
 * Reads and checks a body; answers and gives undefined when it is no good. `input` is the body as
 * it came, `data` what the schema knows of it.
 */
async function readInput<Schema extends z.ZodType>(
  exchange: Exchange,
  schema: Schema,
  options: Options,
): Promise<{ data: z.output<Schema>; input: unknown } | undefined> {
  const maxBytes = options.limits.controlBodyBytes;
  const { budget } = options;
  const body = await readOrRefuse(exchange, { maxBytes, budget, caller: exchange.address });
  if (body === undefined) return undefined;
  let input: unknown;
  try {
    input = JSON.parse(body.toString('utf8'));
  } catch {
    exchange.refuse('not_json', 'The request body is not JSON.');
    return undefined;
  }
  const parsed = schema.safeParse(input);
  if (parsed.success) return { data: parsed.data, input };
  const { name, message, param } = invalidInput(parsed.error, input);
  exchange.refuse(name, message, { param });
  return undefined;
}

type Refusal = readonly [ErrorName, string, RefusalDetails?];

function refuse(exchange: Exchange, [name, message, details]: Refusal): void {
  exchange.refuse(name, message, details);
}

const newKey = 'Create a new one (dashboard, or `xim join-keys create`) and paste its line.';
const soon = { retryAfterMs: 1000 };

const enrollRefusals: Readonly<Record<EnrollRefusal, Refusal>> = {
  join_key_malformed: ['join_key_invalid', 'The join key is malformed: paste the whole line.'],
  join_key_unknown: ['join_key_invalid', `This join key does not exist. ${newKey}`],
  join_key_wrong: ['join_key_invalid', `This join key does not exist. ${newKey}`],
  join_key_expired: ['join_key_expired', `This join key has expired. ${newKey}`],
  join_key_revoked: ['join_key_revoked', `This join key was revoked. ${newKey}`],
  join_key_used_up: ['join_key_used_up', `This join key has no use left. ${newKey}`],
  nonce_invalid: [
    'nonce_invalid',
    'The nonce is unknown, used or older than 60 s: take a new one.',
  ],
  public_key_malformed: ['enrollment_rejected', 'The public key is not an Ed25519 key.'],
  signature_invalid: [
    'signature_invalid',
    'The signature does not fit key, nonce, facts and the name of this server. If the server is ' +
      'reached by another name than it knows, start it with its public URL.',
  ],
  already_linked: [
    'enrollment_rejected',
    'This key pair has enrolled with this join key and has linked since: start the agent without ' +
      'a join key, or remove its state directory to enrol it as a new agent.',
  ],
  agent_suspended: ['agent_suspended', 'This agent is suspended: resume it, then start it again.'],
  agent_dead: ['agent_dead', 'This agent was removed: remove its state directory and enrol again.'],
  busy: ['store_unavailable', 'Too many enrolments at once. Try again in a moment.', soon],
};

const refreshRefusals: Readonly<Record<RefreshRefusal, Refusal>> = {
  nonce_invalid: enrollRefusals.nonce_invalid,
  signature_invalid: ['signature_invalid', 'The signature does not fit token, nonce and agent.'],
  rotation_token_invalid: [
    'rotation_token_invalid',
    'This rotation token was not made by this server for this agent: enrol again.',
  ],
  rotation_token_reused: [
    'agent_suspended',
    'An old rotation token was used: a copy of the agent’s state may be in other hands. The ' +
      'agent is suspended; its owner sees why and can resume it.',
  ],
  agent_suspended: [
    'agent_suspended',
    'This agent is suspended. It goes on by itself when it is resumed.',
  ],
  agent_dead: enrollRefusals.agent_dead,
  busy: ['store_unavailable', 'Too many refreshes at once. Try again in a moment.', soon],
};
