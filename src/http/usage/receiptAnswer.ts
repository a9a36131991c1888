/**
 * A receipt as its project may see it (T3): own agents by name; others as `shared-1`, `shared-2`, …
 * with their regions, and without a figure that tells of what else they do.
 */
import type { ActiveRequestAnswer, ReceiptAnswer } from '../../api/control/requests.ts';
import type { RequestView } from '../../control/usage/recentRequests.ts';
import { costText } from '../../domain/metering/price.ts';
import type {
  Receipt,
  ReceiptAgent,
  ReceiptAttempt,
  ReceiptCandidate,
  ReceiptMisses,
} from '../../router/receipts/receipt.ts';
import type { ActiveRequest, ReceiptState } from '../../router/receipts/receiptView.ts';
import { isoTime } from '../control/isoTime.ts';
import { receiptWords } from './receiptWords.ts';
import { requestAnswer } from './requestAnswer.ts';

type Shown = (agent: ReceiptAgent) => { agent: string; region: string };

const tenths = (ms: number): number => Math.round(ms * 10) / 10;
const tenthsOrNull = (ms: number | null): number | null => (ms === null ? null : tenths(ms));

/** `record`: what the store has of it; null: nothing (yet). */
export function receiptAnswer(
  { state, receipt, expectation }: ReceiptState,
  record: RequestView | null,
): ReceiptAnswer {
  const shown = shownIn(receipt);
  const attempts = receipt.attempts
    .toSorted((one, other) => one.atMs - other.atMs)
    .map((attempt) => attemptAnswer(attempt, { shown, receipt }));
  const isOver = state === 'finished';
  const { wait } = receipt;
  const answer: Omit<ReceiptAnswer, 'why'> = {
    ...summaryOf(receipt, { isOver, record }),
    state,
    waiting:
      expectation === null
        ? null
        : { position: expectation.position, eta_ms: tenthsOrNull(expectation.etaMs) },
    resumed: receipt.resumed,
    kept: true,
    region: receipt.region,
    body_bytes: receipt.bodyBytes,
    max_tokens: receipt.maxTokens,
    foreseen: wait && { position: wait.position, wait_ms: tenthsOrNull(wait.predictedMs) },
    attempts,
    not_candidates: missesAnswer(receipt.out, shown),
  };
  return { ...answer, why: receiptWords(answer) };
}

/** Of a request whose receipt is not kept any more, or was never made. */
export function recordAnswer(record: RequestView): ReceiptAnswer {
  const nothing = { counts: {}, nearest: [] };
  const answer: Omit<ReceiptAnswer, 'why'> = {
    ...requestAnswer(record),
    state: 'finished',
    waiting: null,
    resumed: 0,
    kept: false,
    region: null,
    body_bytes: null,
    max_tokens: null,
    foreseen: null,
    attempts: [],
    not_candidates: nothing,
  };
  return { ...answer, why: receiptWords(answer) };
}

export function activeAnswer(
  active: ActiveRequest,
  { nowMs, agentName }: { nowMs: number; agentName: (agentId: string) => string },
): ActiveRequestAnswer {
  const { expectation, agentId } = active;
  return {
    id: active.requestId,
    started_at: isoTime(Math.round(nowMs - active.ageMs)),
    endpoint: active.endpointSlug,
    state: expectation === null ? 'running' : 'waiting',
    position: expectation?.position ?? null,
    eta_ms: tenthsOrNull(expectation?.etaMs ?? null),
    agent: agentId === null ? null : agentName(agentId),
    age_ms: tenths(active.ageMs),
    stream: active.stream,
    api_key_id: active.apiKeyId,
  };
}

/** Gives shared agents their numbers, in the order in which the receipt names them. */
function shownIn({ projectId }: Receipt): Shown {
  const numbers = new Map<string, number>();
  return ({ id, name, region, projectId: owner }) => {
    if (owner === projectId) return { agent: name, region };
    const number = numbers.get(id) ?? numbers.size + 1;
    numbers.set(id, number);
    return { agent: `shared-${number}`, region };
  };
}

/** The members that the list of requests has, too. */
function summaryOf(
  receipt: Receipt,
  { isOver, record }: { isOver: boolean; record: RequestView | null },
) {
  const last = receipt.attempts.at(-1);
  const name = last?.agent.projectId === receipt.projectId ? last.agent.name : 'shared';
  return {
    id: receipt.requestId,
    started_at: isoTime(receipt.startedAtMs),
    endpoint: receipt.endpointSlug,
    tier: receipt.tier,
    agent: last === undefined ? null : (record?.agentName ?? name),
    outcome: isOver ? receipt.outcome : null,
    status: isOver ? receipt.status : null,
    stream: receipt.stream,
    queue_ms: tenths(receipt.queueMs),
    ttft_ms: tenthsOrNull(receipt.ttftMs),
    latency_ms: tenths(receipt.latencyMs),
    input_tokens: receipt.inputTokens,
    cached_tokens: receipt.cachedTokens,
    output_tokens: receipt.outputTokens,
    cost: costText(receipt.costMicros),
    model_id: receipt.modelId,
    api_key_id: receipt.apiKeyId,
  };
}

function attemptAnswer(
  attempt: ReceiptAttempt,
  { shown, receipt }: { shown: Shown; receipt: Receipt },
): ReceiptAnswer['attempts'][number] {
  const isOwn = ({ projectId }: ReceiptAgent): boolean => projectId === receipt.projectId;
  return {
    ...shown(attempt.agent),
    stage: attempt.stage,
    tier: attempt.tier,
    chosen: attempt.how === 'scored' ? 'cheapest' : 'turn',
    hedge: attempt.hedge,
    at_ms: tenths(attempt.atMs),
    end: attempt.end === '' ? 'running' : attempt.end,
    ended_after_ms: tenthsOrNull(attempt.endedMs),
    prompt_tokens: attempt.promptTokens,
    uncached_tokens: attempt.ownTokens,
    expected_output_tokens: attempt.answerTokens,
    predicted_ttft_ms: tenthsOrNull(attempt.predicted?.ttftMs ?? null),
    predicted_ttft_p90_ms: tenthsOrNull(attempt.predicted?.p90Ms ?? null),
    ttft_ms: tenthsOrNull(attempt.firstByteMs),
    candidates_total: attempt.counted,
    candidates: attempt.candidates.map((one, at) => {
      const figures = isOwn(one.agent) ? figuresOf(one) : noFigures;
      return { ...shown(one.agent), taken: at === 0, ...figures };
    }),
    not_candidates: missesAnswer(attempt.out, shown),
  };
}

type Figures = Omit<
  ReceiptAnswer['attempts'][number]['candidates'][number],
  'agent' | 'region' | 'taken'
>;

const noFigures: Figures = {
  cost_ms: null,
  network_ms: null,
  queue_ms: null,
  prefill_ms: null,
  decode_ms: null,
  region_ms: null,
  uncached_tokens: null,
  in_flight: null,
};

function figuresOf(one: ReceiptCandidate): Figures {
  const isKnown = one.costMs !== null;
  return {
    cost_ms: tenthsOrNull(one.costMs),
    network_ms: tenthsOrNull(one.otherMs),
    queue_ms: tenthsOrNull(one.aheadMs),
    prefill_ms: tenthsOrNull(one.ownMs),
    decode_ms: isKnown ? tenths(one.decodeMs) : null,
    region_ms: isKnown ? tenths(one.regionMs) : null,
    uncached_tokens: one.ownTokens,
    in_flight: one.inFlight,
  };
}

function missesAnswer(
  { counts, nearest }: ReceiptMisses,
  shown: Shown,
): ReceiptAnswer['not_candidates'] {
  return {
    counts: Object.fromEntries(
      Object.entries(counts).map(([reason, count]) => [reason, count ?? 0]),
    ),
    nearest: nearest.map(({ agent, reason }) => ({ ...shown(agent), reason })),
  };
}
