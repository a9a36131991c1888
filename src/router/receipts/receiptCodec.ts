/**
 * A receipt as bytes and back. It is written straight from what the scheduler decided, without an
 * object in between; `receiptCodec.test.ts` holds the two directions together.
 */
import type { ExclusionReason } from '../../domain/agents/matching.ts';
import type { AgentEntry } from '../../domain/directory.ts';
import type { DecisionCandidate, OutReason, Survey } from '../../domain/explaining/decision.ts';
import type { OutsiderFacts } from '../../domain/explaining/outsiders.ts';
import type { Explanation } from '../../domain/scheduler/schedulerEvents.ts';
import { receiptBlockStep } from '../limits.ts';
import type { UsageRecord } from '../ports.ts';
import type { ByteReader, ByteWriter } from './packedBytes.ts';
import type {
  Receipt,
  ReceiptAgent,
  ReceiptAttempt,
  ReceiptCandidate,
  ReceiptMisses,
} from './receipt.ts';
import type { RequestTrail, TrailAttempt } from './requestTrail.ts';
import type { NamesRecord, SegmentNames } from './segmentNames.ts';

/** A request that is over, as its run leaves it. */
export interface EndedRequest {
  record: UsageRecord;
  trail: RequestTrail;
  /** Monotonic ms. */
  arrivedAtMs: number;
  bodyBytes: number;
  maxTokens: number | null;
  region: string | null;
  /** Of one that waits: who is out now. */
  explanation?: Explanation;
}

/** What a receipt needs beside the request itself. */
export interface Surroundings {
  agent(agentId: string): AgentEntry | undefined;
  outsiders(trail: RequestTrail): OutsiderFacts | null;
}

const version = 1;
/** 48 bits of a block's hash. */
const blockModulus = 2 ** 48;

export function writeReceipt(
  out: ByteWriter,
  names: SegmentNames,
  what: { ended: EndedRequest; around: Surroundings },
): void {
  const { ended, around } = what;
  const { record, trail } = ended;
  out.number(version);
  out.text(record.requestId);
  writeRecord(out, names, record);
  out.number(ended.bodyBytes);
  out.orNull(ended.maxTokens);
  out.number(ended.region === null ? 0 : names.text(ended.region) + 1);
  out.number(trail.resumed);
  writeBlocks(out, trail);
  const { wait } = trail;
  out.number(wait === null ? 0 : wait.position);
  if (wait !== null) out.msOrNull(wait.predictedMs);
  out.number(trail.attempts.length);
  for (const attempt of trail.attempts) writeAttempt(out, names, { attempt, ended });
  writeRefusal(out, names, { explanation: ended.explanation ?? explanationOf(trail), around });
  const facts = around.outsiders(trail);
  out.number(facts === null ? 0 : names.outsider(facts) + 1);
}

export function readReceipt(from: ByteReader, names: NamesRecord): Receipt {
  const read = new ReceiptReader(from, names);
  return read.receipt();
}

function writeRecord(out: ByteWriter, names: SegmentNames, record: UsageRecord): void {
  out.number(names.text(record.projectId));
  out.number(names.text(record.endpointId));
  out.number(names.text(record.endpointSlug));
  out.number(names.text(record.apiKeyId));
  out.number(names.text(record.modelId));
  out.number(names.text(record.tier));
  out.number(names.text(record.outcome));
  out.number(record.status);
  out.number(record.stream ? 1 : 0);
  out.number(record.startedAtMs);
  out.ms(record.queueMs);
  out.msOrNull(record.ttftMs);
  out.ms(record.latencyMs);
  out.orNull(record.inputTokens);
  out.orNull(record.cachedTokens);
  out.orNull(record.outputTokens);
  out.number(record.costMicros);
}

function writeBlocks(out: ByteWriter, { routed }: RequestTrail): void {
  const prompt = routed?.prompt;
  if (prompt === undefined) return out.number(0);
  const { blocks, blockBytes } = prompt;
  const kept = Math.floor(blocks.length / receiptBlockStep);
  out.number(kept);
  if (kept === 0) return;
  out.number(blockBytes * receiptBlockStep);
  for (let at = receiptBlockStep - 1; at < blocks.length; at += receiptBlockStep) {
    out.block((blocks[at] ?? 0) % blockModulus);
  }
}

function writeAttempt(
  out: ByteWriter,
  names: SegmentNames,
  { attempt, ended }: { attempt: TrailAttempt; ended: EndedRequest },
): void {
  const { dispatch, atMs, firstByteAtMs, endedAtMs, end } = attempt;
  const { decision, work, predicted, stage, tier, hedge } = dispatch;
  out.number(names.text(tier));
  const how = decision.how === 'scored' ? 0 : 2;
  out.number((stage === 'own' ? 0 : 1) + how + (hedge ? 4 : 0));
  out.ms(atMs - ended.arrivedAtMs);
  out.number(work.prompt);
  out.number(work.own);
  out.number(work.answer);
  out.msOrNull(predicted?.ttftMs ?? null);
  if (predicted !== null) out.ms(predicted.p90Ms);
  out.msOrNull(firstByteAtMs === null ? null : firstByteAtMs - atMs);
  out.msOrNull(endedAtMs === null ? null : endedAtMs - atMs);
  out.number(names.text(end));
  out.number(decision.counted);
  out.number(decision.candidates.length);
  for (const candidate of decision.candidates) writeCandidate(out, names, candidate);
  writeMisses(out, names, decision.out);
}

function writeCandidate(
  out: ByteWriter,
  names: SegmentNames,
  { scored, parts }: DecisionCandidate,
): void {
  const { item, cost, ttftMs, decodeMs, priceMs, load, inFlight, samples } = scored;
  out.number(names.agent(item.agent.entry));
  out.msOrNull(cost);
  if (cost !== null) {
    // What was learned since may have another opinion of the whole, not of how it divides.
    const aheadMs = parts?.aheadMs ?? 0;
    const ownMs = parts?.ownMs ?? 0;
    out.ms((ttftMs ?? 0) - aheadMs - ownMs);
    out.ms(aheadMs);
    out.ms(ownMs);
    out.ms(decodeMs);
  }
  out.ms(priceMs);
  out.number(load.own);
  out.number(load.ahead);
  out.number(inFlight);
  out.number(samples);
}

function writeCounts(
  out: ByteWriter,
  names: SegmentNames,
  counts: Readonly<Partial<Record<string, number>>>,
): void {
  const reasons = Object.keys(counts);
  out.number(reasons.length);
  for (const reason of reasons) {
    out.number(names.text(reason));
    out.number(counts[reason] ?? 0);
  }
}

function writeMisses(out: ByteWriter, names: SegmentNames, { counts, nearest }: Survey): void {
  writeCounts(out, names, counts);
  out.number(nearest.length);
  for (const { instance, reason } of nearest) {
    out.number(names.agent(instance.agent.entry));
    out.number(names.text(reason));
  }
}

function explanationOf({ verdict }: RequestTrail): Explanation | null {
  return verdict !== null && 'explanation' in verdict ? verdict.explanation : null;
}

function writeRefusal(
  out: ByteWriter,
  names: SegmentNames,
  { explanation, around }: { explanation: Explanation | null; around: Surroundings },
): void {
  if (explanation === null) return out.number(0);
  out.number(1);
  writeCounts(out, names, explanation.exclusions);
  const known = explanation.nearest.flatMap(({ agentId, reason }) => {
    const entry = around.agent(agentId);
    return entry === undefined ? [] : [{ entry, reason }];
  });
  out.number(known.length);
  for (const { entry, reason } of known) {
    out.number(names.agent(entry));
    out.number(names.text(reason));
  }
}

class ReceiptReader {
  private readonly from: ByteReader;
  private readonly names: NamesRecord;

  constructor(from: ByteReader, names: NamesRecord) {
    this.from = from;
    this.names = names;
  }

  receipt(): Receipt {
    const { from } = this;
    const wrote = from.number();
    if (wrote !== version) throw new RangeError(`a receipt of version ${wrote}`);
    const requestId = from.text();
    const record = this.record();
    const bodyBytes = from.number();
    const maxTokens = from.orNull();
    const region = from.orNull();
    const resumed = from.number();
    const blocks = this.blocks();
    const position = from.number();
    const wait = position === 0 ? null : { position, predictedMs: from.msOrNull() };
    const attempts = from.list(() => this.attempt());
    const refusal = from.number() === 1 ? this.misses() : null;
    const out = this.outsiders({ refusal, last: attempts.at(-1) });
    return {
      requestId,
      ...record,
      bodyBytes,
      maxTokens,
      region: region === null ? null : this.textOf(region),
      resumed,
      ...blocks,
      wait,
      attempts,
      out,
    };
  }

  private record() {
    const { from } = this;
    return {
      projectId: this.text(),
      endpointId: this.text(),
      endpointSlug: this.text(),
      apiKeyId: this.text(),
      modelId: this.text(),
      tier: this.text(),
      outcome: this.text(),
      status: from.number(),
      stream: from.number() === 1,
      startedAtMs: from.number(),
      queueMs: from.ms(),
      ttftMs: from.msOrNull(),
      latencyMs: from.ms(),
      inputTokens: from.orNull(),
      cachedTokens: from.orNull(),
      outputTokens: from.orNull(),
      costMicros: from.number(),
    };
  }

  private blocks(): Pick<Receipt, 'blocks' | 'blockBytes'> {
    const { from } = this;
    const kept = from.number();
    if (kept === 0) return { blocks: [], blockBytes: 0 };
    const blockBytes = from.number();
    return { blocks: Array.from({ length: kept }, () => from.block()), blockBytes };
  }

  private attempt(): ReceiptAttempt {
    const { from } = this;
    const tier = this.text();
    const flags = from.number();
    const atMs = from.ms();
    const promptTokens = from.number();
    const ownTokens = from.number();
    const answerTokens = from.number();
    const ttftMs = from.msOrNull();
    const predicted = ttftMs === null ? null : { ttftMs, p90Ms: from.ms() };
    const firstByteMs = from.msOrNull();
    const endedMs = from.msOrNull();
    const end = this.text();
    const counted = from.number();
    const candidates = from.list(() => this.candidate());
    const agent = candidates[0]?.agent ?? nobody;
    return {
      agent,
      tier,
      stage: flags % 2 === 0 ? 'own' : 'shared',
      how: (flags & 2) === 0 ? 'scored' : 'turn',
      hedge: flags >= 4,
      atMs,
      promptTokens,
      ownTokens,
      answerTokens,
      predicted,
      firstByteMs,
      endedMs,
      end,
      counted,
      candidates,
      out: this.misses(),
    };
  }

  private candidate(): ReceiptCandidate {
    const { from } = this;
    const agent = this.agent();
    const costMs = from.msOrNull();
    const [otherMs, aheadMs, ownMs, decodeMs] =
      costMs === null ? [null, null, null, 0] : [from.ms(), from.ms(), from.ms(), from.ms()];
    return {
      agent,
      costMs,
      otherMs,
      aheadMs,
      ownMs,
      decodeMs,
      regionMs: from.ms(),
      ownTokens: from.number(),
      aheadTokens: from.number(),
      inFlight: from.number(),
      samples: from.number(),
    };
  }

  private misses(): ReceiptMisses {
    const { from } = this;
    const counts: ReceiptMisses['counts'] = {};
    for (let left = from.number(); left > 0; left -= 1) counts[this.reason()] = from.number();
    const nearest = from.list(() => ({ agent: this.agent(), reason: this.reason() }));
    return { counts, nearest };
  }

  /** Of a refusal what it said; otherwise who could never have served. */
  private outsiders(told: {
    refusal: ReceiptMisses | null;
    last: ReceiptAttempt | undefined;
  }): ReceiptMisses {
    const at = this.from.orNull();
    if (told.refusal !== null) return told.refusal;
    const facts = at === null ? undefined : this.names.outsiders[at];
    if (facts === undefined) return { counts: {}, nearest: [] };
    const counts = { ...facts.counts };
    // Own agents come first: where one of them served, shared ones were not asked.
    if (told.last?.stage === 'own' && facts.ready > 0) counts.not_asked = facts.ready;
    const nearest = facts.nearest.map(([number, reason]) => ({
      agent: this.agentOf(number),
      reason: reason as ExclusionReason,
    }));
    return { counts, nearest };
  }

  private reason(): OutReason {
    return this.text() as OutReason;
  }

  private agent(): ReceiptAgent {
    return this.agentOf(this.from.number());
  }

  private agentOf(number: number): ReceiptAgent {
    return this.names.agents[number] ?? nobody;
  }

  private text(): string {
    return this.textOf(this.from.number());
  }

  private textOf(number: number): string {
    return this.names.texts[number] ?? '';
  }
}

const nobody: ReceiptAgent = { id: '', name: '', region: '', projectId: null };
