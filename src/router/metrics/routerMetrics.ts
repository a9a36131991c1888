/** What the router measures, by name, and how it is read at a scrape. */
import { derivedAgentState } from '../../domain/agents/agentState.ts';
import type { Learned } from '../../domain/placing/placement.ts';
import { defineMetrics, metricsText } from '../../lib/metrics/metricsText.ts';
import type { Sample } from '../../lib/metrics/series.ts';
import type { Directory } from '../directory.ts';
import type { JournalFigures } from '../journal/journal.ts';
import type { AgentRegistry } from '../links/agentRegistry.ts';
import type { ShelfState } from '../receipts/receiptShelf.ts';
import type { RequestMeter } from './requestMeter.ts';

export const routerMetricTable = defineMetrics({
  xim_requests_total: {
    kind: 'counter',
    help: 'Requests that ended, by their outcome, the tier that served and who served.',
    labels: ['outcome', 'tier', 'stage', 'stream'],
  },
  xim_requests_running: { kind: 'gauge', help: 'Requests that an agent serves now.' },
  xim_requests_waiting: { kind: 'gauge', help: 'Requests in the queue now.' },
  xim_requests_waiting_limit: { kind: 'gauge', help: 'Requests that may wait at most.' },
  xim_requests_waiting_bytes: { kind: 'gauge', help: 'Bytes of the bodies in the queue.' },
  xim_request_wait_seconds: {
    kind: 'histogram',
    help: 'Time in the router’s queue, of every request that ended.',
    labels: ['stage'],
  },
  xim_request_ttft_seconds: {
    kind: 'histogram',
    help: 'From arrival to the first byte of the answer, of streams that were completed.',
    labels: ['tier', 'stage'],
  },
  xim_request_tpot_seconds: {
    kind: 'histogram',
    help: 'Mean time per output token after the first, of streams that were completed.',
    labels: ['tier', 'stage'],
  },
  xim_request_duration_seconds: {
    kind: 'histogram',
    help: 'From arrival to the end, of requests that were completed.',
    labels: ['tier', 'stage', 'stream'],
  },
  xim_request_body_bytes: { kind: 'histogram', help: 'Sizes of the bodies of requests.' },
  xim_answer_bytes_total: { kind: 'counter', help: 'Bytes of answers that came from agents.' },
  xim_tokens_total: {
    kind: 'counter',
    help: 'Tokens by kind: input that was computed, cached_input, and output.',
    labels: ['kind', 'tier', 'stage'],
  },
  xim_usage_clamped_total: {
    kind: 'counter',
    help: 'Requests whose agent reported more usage than was relayed.',
  },
  xim_attempts_total: {
    kind: 'counter',
    help: 'Times that an agent was asked: the first time, a retry, or a hedge.',
    labels: ['stage', 'try'],
  },
  xim_attempt_failures_total: {
    kind: 'counter',
    help: 'Attempts that an agent or its link broke off, before or after the first byte.',
    labels: ['reason', 'phase'],
  },
  xim_resumed_requests_total: {
    kind: 'counter',
    help: 'Streams that another agent went on with, by how they ended.',
    labels: ['outcome'],
  },
  xim_penalties_total: {
    kind: 'counter',
    help: 'Times that an agent was passed over for a while because it had failed.',
  },
  xim_agents_penalized: {
    kind: 'gauge',
    help: 'Agents that are passed over, or are on probation.',
  },
  xim_limit_refusals_total: {
    kind: 'counter',
    help: 'Requests that a limit refused; the tier is "key" for the quota of a key.',
    labels: ['limit', 'tier'],
  },
  xim_predictor_mape_ratio: {
    kind: 'gauge',
    help: 'Mean absolute percentage error of predicted times to the first byte, as a share.',
  },
  xim_predictor_p90_coverage_ratio: {
    kind: 'gauge',
    help: 'Share of first bytes that came within their predicted p90; 0.9 is right.',
  },
  xim_agents: {
    kind: 'gauge',
    help: 'Agents that are not dead, by state.',
    labels: ['state', 'ownership'],
  },
  xim_engine_room_tokens: {
    kind: 'gauge',
    help: 'Tokens of prompts and answers that engines make use of at once, as told or learned.',
  },
  xim_engine_room_used_tokens: {
    kind: 'gauge',
    help: 'Of these: tokens in flight, as estimated.',
  },
  xim_prefix_blocks: {
    kind: 'gauge',
    help: 'Blocks of prompts that are known to be cached somewhere.',
  },
  xim_slots: { kind: 'gauge', help: 'Slots that linked agents grant.', labels: ['ownership'] },
  xim_slots_in_use: { kind: 'gauge', help: 'Slots that are held.', labels: ['ownership'] },
  xim_links: { kind: 'gauge', help: 'Links of agents that are up.' },
  xim_link_rtt_seconds: {
    kind: 'histogram',
    help: 'Round-trip times of links, each link once in five seconds.',
  },
  xim_receipts: { kind: 'gauge', help: 'Receipts that are kept.' },
  xim_receipts_bytes: { kind: 'gauge', help: 'Bytes of kept receipts on disk.' },
  xim_receipts_lost_total: { kind: 'counter', help: 'Receipts that could not be written.' },
  xim_journal_ok: { kind: 'gauge', help: '1 while the journal can be written.' },
  xim_journal_bytes: { kind: 'gauge', help: 'Bytes of the journal on disk.' },
  xim_journal_pending_bytes: { kind: 'gauge', help: 'Bytes that wait for the disk.' },
  xim_journal_undelivered_records: {
    kind: 'gauge',
    help: 'Usage records in memory that the store does not have yet.',
  },
  xim_journal_refused_waiting_records: {
    kind: 'gauge',
    help: 'Usage records that the store refused and that wait on disk to be tried again.',
  },
  xim_journal_refused_records_total: {
    kind: 'counter',
    help: 'Usage records that the store refused, each by itself.',
  },
  xim_journal_given_up_records_total: {
    kind: 'counter',
    help: 'Of these: those that there was no room to keep; they are in the log.',
  },
  xim_journal_unreadable_lines_total: {
    kind: 'counter',
    help: 'Lines of the journal that could not be read.',
  },
  xim_journal_set_aside_files_total: {
    kind: 'counter',
    help: 'Files of the journal that could not be read for an hour and were set aside.',
  },
  xim_journal_write_seconds: { kind: 'histogram', help: 'Times of writes to the journal.' },
});

export interface RouterMeasured {
  counts: { running: number; waiting: number; waitingBytes: number; waitingLimit: number };
  meter: RequestMeter;
  learned: Learned;
  penalties: { agents: number; total: number };
  receipts: ShelfState;
  directory: Pick<Directory, 'agents' | 'agent'>;
  registry: Pick<AgentRegistry, 'linked' | 'process' | 'linkRtt'>;
  journal: JournalFigures;
}

/** The text for a scrape. */
export function routerMetrics(measured: RouterMeasured): string {
  const { counts, meter, learned, registry, journal } = measured;
  const { predictor, room, prefixBlocks } = learned;
  const fleet = fleetOf(measured);
  return metricsText(routerMetricTable, {
    xim_requests_total: meter.requests.samples(),
    xim_requests_running: counts.running,
    xim_requests_waiting: counts.waiting,
    xim_requests_waiting_limit: counts.waitingLimit,
    xim_requests_waiting_bytes: counts.waitingBytes,
    xim_request_wait_seconds: meter.wait.samples(),
    xim_request_ttft_seconds: meter.ttft.samples(),
    xim_request_tpot_seconds: meter.tpot.samples(),
    xim_request_duration_seconds: meter.duration.samples(),
    xim_request_body_bytes: meter.bodyBytes,
    xim_answer_bytes_total: meter.answerBytes,
    xim_tokens_total: meter.tokens.samples(),
    xim_usage_clamped_total: meter.clampedUsage,
    xim_attempts_total: meter.attempts.samples(),
    xim_attempt_failures_total: meter.attemptFailures.samples(),
    xim_resumed_requests_total: meter.resumed.samples(),
    xim_penalties_total: measured.penalties.total,
    xim_agents_penalized: measured.penalties.agents,
    xim_limit_refusals_total: meter.limitRefusals.samples(),
    xim_predictor_mape_ratio: whenKnown(predictor?.mape),
    xim_predictor_p90_coverage_ratio: whenKnown(predictor?.p90Coverage),
    xim_engine_room_tokens: room.ofUse,
    xim_engine_room_used_tokens: room.used,
    xim_prefix_blocks: prefixBlocks,
    xim_agents: agentsByState(measured),
    xim_slots: samplesOf(fleet.slots),
    xim_slots_in_use: samplesOf(fleet.inUse),
    xim_links: fleet.links,
    xim_link_rtt_seconds: registry.linkRtt,
    xim_receipts: measured.receipts.kept,
    xim_receipts_bytes: measured.receipts.bytes,
    xim_receipts_lost_total: measured.receipts.lost,
    xim_journal_ok: Number(journal.state === 'ok'),
    xim_journal_bytes: journal.bytes,
    xim_journal_pending_bytes: journal.pendingBytes,
    xim_journal_undelivered_records: journal.undelivered,
    xim_journal_refused_waiting_records: journal.refused,
    xim_journal_refused_records_total: journal.refusedEver,
    xim_journal_given_up_records_total: journal.givenUp,
    xim_journal_unreadable_lines_total: journal.unreadable,
    xim_journal_set_aside_files_total: journal.setAside,
    xim_journal_write_seconds: journal.writes,
  });
}

/** A gauge that says nothing while nothing is known: a zero would be a lie. */
const whenKnown = (value: number | undefined): Sample[] =>
  value === undefined ? [] : [[[], value]];

type Ownership = 'own' | 'shared';
/** One number for each; both are there from the start, so that a sum over none is zero. */
type ByOwnership = Record<Ownership, number>;

const ownershipOf = (agent: { projectId: string | null } | undefined): Ownership =>
  agent?.projectId === null ? 'shared' : 'own';

const samplesOf = (counts: ByOwnership): Sample[] =>
  Object.entries(counts).map(([ownership, count]) => [[ownership], count]);

/** With ten thousand agents this is done ten thousand times in one turn: plain sums, no labels. */
function fleetOf({ directory, registry }: RouterMeasured): {
  slots: ByOwnership;
  inUse: ByOwnership;
  links: number;
} {
  const slots = { own: 0, shared: 0 };
  const inUse = { own: 0, shared: 0 };
  let links = 0;
  for (const process of registry.linked()) {
    const ownership = ownershipOf(directory.agent(process.agentId));
    for (const grant of process.grants) slots[ownership] += grant.slots;
    for (const link of process.links.values()) inUse[ownership] += link.inFlight;
    links += process.links.size;
  }
  return { slots, inUse, links };
}

function agentsByState({ directory, registry }: RouterMeasured): Sample[] {
  const states = ['pending', 'active', 'disconnected', 'suspended'] as const;
  const counts = Object.fromEntries(states.map((state) => [state, { own: 0, shared: 0 }]));
  for (const agent of directory.agents()) {
    if (agent.state === 'dead') continue;
    const linked = registry.process(agent.id) !== undefined;
    const everLinked = agent.firstLinkedAtMs !== null;
    const state = derivedAgentState({ stored: agent.state, linked, everLinked });
    const ofState = counts[state];
    if (ofState !== undefined) ofState[ownershipOf(agent)] += 1;
  }
  return Object.entries(counts).flatMap(([state, { own, shared }]): Sample[] => [
    [[state, 'own'], own],
    [[state, 'shared'], shared],
  ]);
}
