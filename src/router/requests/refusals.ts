/**
 * What a refused client is told: the name in the error table and a sentence with the knob, its
 * value and the limit. Names nobody of another project.
 */
import { errorEnvelope, errorTable, type ErrorName } from '../../api/errors.ts';
import { parameterOfAbility, type Ability } from '../../api/abilities.ts';
import type { EndpointEntry } from '../../domain/directory.ts';
import { maxRetries, waitingPerConcurrent } from '../../domain/limits.ts';
import type { ExclusionReason } from '../../domain/agents/matching.ts';
import type { Tier } from '../../domain/tiers/tiers.ts';
import type { Explanation, QueueBound, Verdict } from '../../domain/scheduler/schedulerEvents.ts';
import type { ResetCode } from '../../protocol/link.ts';
import type { Outcome, Refusal } from '../ports.ts';
import { budgetRefusal } from './budgetRefusal.ts';
import { heldFacts, heldLine, limitRefusal } from './limitRefusal.ts';

/** How a request ended that the scheduler refused. */
export interface Refused {
  outcome: Outcome;
  /** Null: the client is gone. */
  refusal: Refusal | null;
  status: number;
}

/** Status in records only: nobody was there to read it. */
export const clientClosedStatus = 499;

const defaultRetryMs = 5000;
const shortestRetryMs = 1000;
/** Client libraries ignore a longer one. */
const longestRetryMs = 60_000;

const words: Readonly<Record<ExclusionReason, string>> = {
  not_active: 'not active',
  suspended: 'suspended',
  other_project: 'of another project',
  fallback_closed: 'shared, while fallback is off',
  no_shared_access: 'shared, and the project has no access to shared agents (shared_access)',
  model_not_shared: 'shared, and the model is not approved for shared agents',
  tier: 'without the tier',
  model: 'without the model loaded',
  ability: 'without an ability that is asked for',
  binding: 'bound elsewhere',
  exclusive: 'not bound to the endpoint, which takes no others',
  isolation: 'below the minimum isolation level',
  busy: 'busy',
  penalty_box: 'spared for a moment after a failure',
  tried: 'failed this request',
  over_limit: 'free, while the project is over a limit',
};

/** Turns the scheduler's verdict into what the client is told. `nowMs` is the time of day. */
export function refused(
  verdict: Verdict,
  { endpoint, nowMs }: { endpoint: EndpointEntry; nowMs: number },
): Refused {
  switch (verdict.kind) {
    case 'client_closed':
      return { outcome: 'client_closed', refusal: null, status: clientClosedStatus };
    case 'queue_timeout':
      return withStatus('queue_timeout', queueTimeout(verdict, { endpoint, nowMs }));
    case 'queue_full':
      return withStatus('queue_full', queueFull(verdict));
    case 'rate_limit_exceeded':
    case 'concurrency_exceeded': {
      const retryAfterMs = retryAfter(verdict.expectedWaitMs);
      return withStatus(verdict.kind, limitRefusal(verdict, { nowMs, retryAfterMs }));
    }
    case 'insufficient_quota':
      return withStatus('insufficient_quota', budgetRefusal(verdict.budget, nowMs));
    case 'no_agent_available':
      return withStatus('no_agent_available', noAgent(verdict, endpoint));
    case 'model_loading':
      return withStatus('model_loading', modelLoading(verdict, endpoint));
    case 'unsupported_parameter':
      return withStatus('unsupported_parameter', unsupported(verdict));
    case 'upstream_error':
      return withStatus('upstream_error', upstreamError(verdict));
    case 'revoked':
      return withStatus('revoked', keyRevoked);
    case 'shutting_down':
      return withStatus('shutting_down', shuttingDown);
  }
}

export const keyRevoked: Refusal = {
  name: 'invalid_api_key',
  message: 'The API key of this request was revoked or has expired.',
};

/** For the error event of a stream whose agent is gone, or failed. */
export function brokenBy(code: ResetCode): Refusal {
  const lost = code === 'link_closed' ? 'was lost' : 'failed';
  const message = `The agent ${lost} while it answered. The answer is not complete.`;
  return { name: 'upstream_error', message };
}

/** For the error event of a stream that could have been continued, and why it was not. */
export function notContinued({ message: why }: Refusal): Refusal {
  const what = 'The agent failed while it answered, and no other could continue.';
  return { name: 'upstream_error', message: `${what} The answer is not complete. ${why}` };
}

export const shuttingDown: Refusal = {
  name: 'shutting_down',
  message: 'The server is shutting down. Try again in a moment.',
  retryAfterMs: defaultRetryMs,
};

export const journalUnavailable: Refusal = {
  name: 'journal_unavailable',
  message: 'The server cannot record requests at the moment, so it accepts none.',
  retryAfterMs: defaultRetryMs,
};

/** The tier's bound on the time to the first byte, or to the end. */
export function timedOut({ slug, requestTimeoutMs }: Tier): Refusal {
  const seconds = requestTimeoutMs / 1000;
  const message = `The request ran for longer than the request timeout of the tier '${slug}'`;
  return { name: 'timeout', message: `${message}, ${seconds} s.` };
}

/** The same on the time between two bytes of a stream. */
export function wentQuiet({ slug, idleStreamTimeoutMs }: Tier): Refusal {
  const seconds = idleStreamTimeoutMs / 1000;
  const message = `Nothing came for ${seconds} s, the idle stream timeout of the tier '${slug}'.`;
  return { name: 'timeout', message };
}

/** The event that says it in a stream that has begun. `isTorn`: behind a part of another event. */
export function errorEvent(refusal: Refusal, { isTorn }: { isTorn: boolean }): Buffer {
  const { name, message, param = null, extra } = refusal;
  const envelope = errorEnvelope(name, message, { param, ...(extra && { extra }) });
  return Buffer.from(`${isTorn ? '\n\n' : ''}data: ${JSON.stringify(envelope)}\n\n`);
}

/** A refusal together with what its record says. */
export function withStatus(outcome: Outcome, refusal: Refusal): Refused {
  const name: ErrorName = refusal.name;
  return { outcome, refusal, status: errorTable[name].status };
}

function queueTimeout(
  verdict: Extract<Verdict, { kind: 'queue_timeout' }>,
  { endpoint, nowMs }: { endpoint: EndpointEntry; nowMs: number },
): Refusal {
  const { waitedMs, explanation, heldBy } = verdict;
  // A newcomer waits for an agent, and for room in the limit of its project.
  const known = [verdict.expectedWaitMs, heldBy?.waitMs ?? null].filter((ms) => ms !== null);
  const expectedWaitMs = known.length === 0 ? null : Math.max(...known);
  const message =
    `No agent became free within the queue timeout of the endpoint '${endpoint.slug}' ` +
    `(queue_timeout_ms = ${endpoint.queueTimeoutMs}).${outLine(explanation)}` +
    (heldBy === null ? '' : ` ${heldLine(heldBy)}`);
  const used = Math.round(waitedMs);
  const limit = { name: 'queue_timeout_ms', value: endpoint.queueTimeoutMs, used, resets: null };
  const held = heldBy && { held_by: heldFacts(heldBy, nowMs) };
  const extra = { waited_ms: used, expected_wait_ms: rounded(expectedWaitMs), limit, ...held };
  return { name: 'queue_timeout', message, retryAfterMs: retryAfter(expectedWaitMs), extra };
}

function queueFull(verdict: Extract<Verdict, { kind: 'queue_full' }>): Refusal {
  const { bound, limit, used, expectedWaitMs } = verdict;
  const what: Readonly<Record<QueueBound, string>> = {
    requests: `${used} requests wait, and the queue holds ${limit}`,
    bytes: `${used} bytes of requests wait, and the queue holds ${limit}`,
    project:
      `${used} requests of this project wait on this tier, and it may have ${limit}: ` +
      `${waitingPerConcurrent} for each that may run (the tier's concurrentPerProject)`,
    project_requests:
      `${used} requests of this project wait on all its tiers, ` +
      `and it may have ${limit} of the queue`,
    project_bytes:
      `${used} bytes of requests of this project wait on all its tiers, ` +
      `and it may have ${limit} of the queue`,
  };
  const name = `waiting_${bound}`;
  const message = `The queue is full: ${what[bound]} (${name} = ${limit}).`;
  // Nobody knows when it has room: as soon as one of those that wait is served.
  const expected_wait_ms = rounded(expectedWaitMs);
  const extra = { expected_wait_ms, limit: { name, value: limit, used, resets: null } };
  return { name: 'queue_full', message, retryAfterMs: retryAfter(expectedWaitMs), extra };
}

function noAgent(
  verdict: Extract<Verdict, { kind: 'no_agent_available' }>,
  endpoint: EndpointEntry,
): Refusal {
  const { slug } = endpoint;
  const why = {
    microvm: `The endpoint '${slug}' demands isolation 'microvm', which no agent offers.`,
    bound_agents_dead: `The endpoint '${slug}' is bound exclusively, and its agents are gone.`,
    no_agents:
      `The project has no agent for the endpoint '${slug}', ` +
      `and no shared agent is open to it. ${wayOn(verdict.bar, endpoint)}`,
    none_active:
      `No agent that may serve the endpoint '${slug}' was active within its queue timeout ` +
      `(queue_timeout_ms = ${endpoint.queueTimeoutMs}).`,
  };
  const message = why[verdict.why] + outLine(verdict.explanation);
  const { waitedMs } = verdict;
  const extra = { waited_ms: Math.round(waitedMs), why: verdict.why };
  const name = 'no_agent_available';
  if (verdict.why === 'none_active') return { name, message, retryAfterMs: defaultRetryMs, extra };
  // Only who runs the project can change that.
  return { name, message, shouldRetry: false, extra };
}

function modelLoading(
  verdict: Extract<Verdict, { kind: 'model_loading' }>,
  endpoint: EndpointEntry,
): Refusal {
  const { progress, waitedMs } = verdict;
  const state = progress?.state ?? 'loading';
  const message =
    `The model of the endpoint '${endpoint.slug}' was still being made ready when its queue ` +
    `timeout was reached (queue_timeout_ms = ${endpoint.queueTimeoutMs}).`;
  const { receivedBytes = null, totalBytes = null, bytesPerSecond = null } = progress ?? {};
  const known = receivedBytes !== null && totalBytes !== null && bytesPerSecond !== null;
  const leftMs =
    known && bytesPerSecond > 0 ? ((totalBytes - receivedBytes) / bytesPerSecond) * 1000 : null;
  const fetched = { received_bytes: receivedBytes, total_bytes: totalBytes };
  const waits = { waited_ms: Math.round(waitedMs), expected_wait_ms: rounded(leftMs) };
  const extra = { ...waits, progress: { state, ...fetched, bytes_per_second: bytesPerSecond } };
  return { name: 'model_loading', message, retryAfterMs: retryAfter(leftMs), extra };
}

function unsupported(verdict: Extract<Verdict, { kind: 'unsupported_parameter' }>): Refusal {
  const { missing } = verdict;
  const param = missing
    .map((ability) => parameterOfAbility[ability as Ability] ?? null)
    .find((name) => name !== null);
  const named = missing.map((ability) => `'${ability}'`).join(', ');
  const message = `No engine that may serve this endpoint supports ${named}.`;
  return { name: 'unsupported_parameter', message, ...(param ? { param } : {}) };
}

function upstreamError(verdict: Extract<Verdict, { kind: 'upstream_error' }>): Refusal {
  const { attempts } = verdict;
  const tries = attempts === 1 ? 'The agent' : `${attempts} agents`;
  const rest = attempts > maxRetries ? 'more are not tried' : 'no other is there';
  const message = `${tries} failed before the first byte of the answer, and ${rest}.`;
  return { name: 'upstream_error', message, retryAfterMs: shortestRetryMs, extra: { attempts } };
}

/** What would give it an agent. */
function wayOn(bar: ExclusionReason | null, { tier, fallback }: EndpointEntry): string {
  switch (bar) {
    case 'no_shared_access':
      return 'Enrol an agent, or ask an operator for access to shared agents (shared_access).';
    case 'model_not_shared':
      return 'Enrol an agent, or ask an operator to approve the model for shared agents.';
    case 'tier':
      return `Enrol an agent, or give the fallback a tier of shared agents (fallback.tier).`;
    case null:
      return `Enrol an agent, or ask an operator for shared ones of '${fallback.tier ?? tier}'.`;
    default:
      return 'Enrol an agent or turn fallback on.';
  }
}

/** ` Agents: 2 busy, 1 not active.` */
function outLine(explanation: Explanation): string {
  const parts = Object.entries(explanation.exclusions).map(
    ([reason, count]) => `${count} ${words[reason as ExclusionReason]}`,
  );
  return parts.length === 0 ? '' : ` Agents: ${parts.join(', ')}.`;
}

const rounded = (ms: number | null): number | null => (ms === null ? null : Math.round(ms));

function retryAfter(expectedMs: number | null): number {
  if (expectedMs === null) return defaultRetryMs;
  return Math.round(Math.min(longestRetryMs, Math.max(shortestRetryMs, expectedMs)));
}
