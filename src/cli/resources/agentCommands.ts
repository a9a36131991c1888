/** `xim agents`: machines that serve. */
import type {
  AgentAnswer,
  AgentEventAnswer,
  AgentModelAnswer,
  ChangedAgentAnswer,
} from '../../api/control/agents.ts';
import type { Command } from '../command.ts';
import { ago, fieldTable, joined, milliseconds, sizeText, textTable } from '../textTable.ts';
import { actorText } from './actorText.ts';
import { agentHealth } from './agentHealth.ts';
import { agentLogs } from './agentLogs.ts';
import { ownAgentRef } from './agentRef.ts';
import type { Asked, BodyFields } from './bodyFields.ts';
import { listRow, switchRow, textRow } from './optionRows.ts';
import { idOf, type Reference } from './reference.ts';
import { changing, listing, showing, type Field, type Operand } from './resourceCommand.ts';

const operand: Operand = { name: 'AGENT', reference: ownAgentRef as Reference<never> };
const path = '/agents/{}';

const head = ['NAME', 'STATE', 'OWNER', 'REGION', 'LOAD', 'RTT', 'SEEN', 'TIERS', 'MODELS'];

function row(agent: AgentAnswer, nowMs: number): (string | null)[] {
  return [
    agent.name,
    agent.state,
    agent.ownership,
    agent.region,
    loadText(agent),
    milliseconds(agent.rtt_ms),
    seenText(agent, nowMs),
    agent.effective_tiers.join(',') || null,
    joined(agent.models.map(modelText)),
  ];
}

/** One line an agent; also a part of `xim status`. */
export function agentsTable(agents: readonly AgentAnswer[], nowMs: number): string {
  return textTable(
    head,
    agents.map((agent) => row(agent, nowMs)),
  );
}

const loadText = ({ in_flight, slots }: AgentAnswer): string | null =>
  in_flight === null ? null : `${in_flight}/${slots ?? '–'}`;

const seenText = (agent: AgentAnswer, nowMs: number): string | null =>
  agent.state === 'active' ? 'now' : ago(agent.last_seen_at, nowMs);

function modelText(model: AgentModelAnswer): string {
  if (model.state === 'fetching' && model.received_bytes !== null && model.total_bytes) {
    const percent = Math.floor((100 * model.received_bytes) / model.total_bytes);
    return `${model.name} (fetching ${percent} %)`;
  }
  const able = model.abilities.length === 0 ? '' : `, can ${model.abilities.join(', ')}`;
  return `${model.name} (${model.state}${model.error === null ? '' : `: ${model.error}`}${able})`;
}

function show(agent: AgentAnswer, nowMs: number): Field[] {
  const since = agent.state_since === null ? '' : `, since ${ago(agent.state_since, nowMs)}`;
  const why = agent.suspended_reason === null ? '' : `: ${agent.suspended_reason}`;
  return [
    ['name', agent.name],
    ['id', agent.id],
    ['worker', agent.worker_id],
    ['description', agent.description === '' ? null : agent.description],
    ['of', agent.ownership === 'shared' ? 'the platform' : 'the project'],
    ['state', `${agent.state}${since}${why}${stillRunning(agent)}`],
    ['seen', seenText(agent, nowMs)],
    ['region', agent.region],
    ['tiers', tiersText(agent)],
    ['endpoints', joined(agent.bound_endpoint_ids ?? []) ?? 'any'],
    [
      'at once',
      agent.max_concurrent_requests === 0 ? 'learned' : String(agent.max_concurrent_requests),
    ],
    ['load', loadText(agent)],
    ...penaltyFields(agent),
    ['round trip', milliseconds(agent.rtt_ms)],
    [
      'storage limit',
      agent.storage_limit_enabled ? sizeText(agent.storage_limit_bytes) : 'the disk',
    ],
    ...storageFields(agent),
    ...modelFields(agent),
    ...machineFields(agent),
    ['joined', ago(agent.created_at, nowMs)],
    ['version', String(agent.version)],
  ];
}

/** Of one that failed lately: it gets less than others until it has proved itself. */
function penaltyFields({ penalty }: AgentAnswer): Field[] {
  if (penalty === null) return [];
  const seconds = Math.ceil(penalty.ends_in_ms / 1000);
  const until = penalty.state === 'boxed' ? `nothing for ${seconds} s` : 'one at a time';
  return [['failed lately', `it gets ${until}, while others can serve`]];
}

/** What its model cache takes, and what of that is above the limit. */
function storageFields({ storage }: AgentAnswer): Field[] {
  if (storage === null) return [];
  const { used_bytes: used, over_bytes: over, in_use: inUse } = storage;
  const models = inUse.map(({ model, bytes }) => `${model ?? 'another’s'} (${sizeText(bytes)})`);
  const above =
    over === 0
      ? ''
      : `, ${sizeText(over)} above the limit; in use: ${joined(models) ?? 'its files'}`;
  const late = storage.up_to_date ? '' : ' (it has not followed the limit yet)';
  return [['storage', `${sizeText(used)} used${above}${late}`]];
}

/** Of one that is stopped and drains. */
function stillRunning({ stop_mode: mode, in_flight: running }: AgentAnswer): string {
  if (mode !== 'drain' || running === null || running === 0) return '';
  return running === 1 ? '; 1 request still runs there' : `; ${running} requests still run there`;
}

function modelFields({ models }: AgentAnswer): Field[] {
  if (models.length === 0) return [['models', null]];
  return models.map((model, at) => [at === 0 ? 'models' : '', modelText(model)]);
}

function tiersText({ supported_tiers, effective_tiers }: AgentAnswer): string {
  const tiers = joined(effective_tiers) ?? 'none';
  return supported_tiers === null ? `${tiers} (by its accelerator)` : tiers;
}

function machineFields({ facts, agent_version }: AgentAnswer): Field[] {
  if (facts === null) return [];
  const cards = facts.accelerators.map(({ model, memoryBytes = null }) =>
    memoryBytes === null ? model : `${model} (${sizeText(memoryBytes)})`,
  );
  return [
    ['machine', `${facts.hostname}, ${facts.os}, ${facts.arch}`],
    ['processor', `${facts.cpu.model}, ${facts.cpu.cores} cores`],
    ['memory', sizeText(facts.memoryBytes)],
    ['accelerators', joined(cards) ?? 'none'],
    ['engine', facts.engine],
    ['program', `xim ${agent_version ?? facts.agentVersion}, Node ${facts.nodeVersion}`],
  ];
}

const filters: BodyFields = {
  state: {
    row: {
      type: 'choice',
      flag: 'state',
      choices: ['pending', 'active', 'disconnected', 'suspended', 'dead'],
      default: undefined,
      placeholder: 'STATE',
      help: 'Only those that are pending, active, disconnected, suspended or dead.',
    },
    member: 'state',
  },
  region: {
    row: textRow({ flag: 'region', placeholder: 'REGION', help: 'Only those there.' }),
    member: 'region',
  },
  tier: {
    row: textRow({ flag: 'tier', placeholder: 'TIER', help: 'Only those that carry it.' }),
    member: 'tier',
  },
  name: {
    row: textRow({ flag: 'name', placeholder: 'TEXT', help: 'Only those whose name has it.' }),
    member: 'name',
  },
};

const settings: BodyFields = {
  name: {
    row: textRow({ flag: 'name', placeholder: 'NAME', help: 'What people see.' }),
    member: 'name',
  },
  description: {
    row: textRow({ flag: 'description', placeholder: 'TEXT', help: 'For people.' }),
    member: 'description',
  },
  region: {
    row: textRow({ flag: 'region', placeholder: 'REGION', help: 'Where it stands.' }),
    member: 'region',
  },
  atOnce: {
    row: {
      type: 'integer',
      flag: 'at-once',
      default: undefined,
      min: 0,
      placeholder: 'N',
      help: 'Requests at once at most; 0: as many as the agent grants.',
    },
    member: 'max_concurrent_requests',
  },
  tiers: {
    row: listRow({ flag: 'tiers', placeholder: 'TIER,…', help: 'The tiers that it carries.' }),
    member: 'supported_tiers',
    unset: null,
  },
  endpoints: {
    row: listRow({
      flag: 'endpoints',
      placeholder: 'SLUG,…',
      help: 'It serves exactly these, and nothing else.',
    }),
    member: 'bound_endpoint_ids',
    to: endpointIds,
    unset: null,
  },
  storageLimit: {
    row: {
      type: 'size',
      flag: 'storage-limit',
      default: undefined,
      min: 1,
      placeholder: 'SIZE',
      help: 'How much disk its model cache may use, e.g. 200GB.',
    },
    member: 'storage_limit_bytes',
    unset: null,
  },
};

/** A limit that is set is meant to hold, and one that is taken back is not. */
function withStorageSwitch(body: Record<string, unknown>): Record<string, unknown> {
  const bytes = body['storage_limit_bytes'];
  return bytes === undefined ? body : { ...body, storage_limit_enabled: bytes !== null };
}

const endpointRef: Reference<{ id: string; slug: string }> = {
  what: 'endpoint',
  list: '/endpoints',
  topic: 'endpoints',
  paged: true,
  ofProjects: true,
  idOf: (endpoint) => endpoint.id,
  nameOf: (endpoint) => endpoint.slug,
};

function endpointIds(slugs: readonly string[], asked: Asked): Promise<string[]> {
  return Promise.all(slugs.map((slug) => idOf(endpointRef, slug, asked)));
}

const reason: BodyFields = {
  reason: {
    row: textRow({ flag: 'reason', placeholder: 'TEXT', help: 'Why; stands in its history.' }),
    member: 'reason',
  },
};

/** Either says the same, in the words of whoever asks. */
const stopping: BodyFields = {
  cut: {
    row: switchRow({ flag: 'cut', help: 'Cut what runs; clients get an error.' }),
    member: 'mode',
    to: (cut: boolean) => (cut ? 'cut' : 'drain'),
  },
  drain: {
    row: switchRow({ flag: 'drain', help: 'Let what runs finish, which is usual.' }),
    member: 'mode',
    to: (drain: boolean) => (drain ? 'drain' : 'cut'),
  },
  ...reason,
};

/** Its link comes a moment later, when the machine has heard of it. */
const sayResumed = ({ name, state }: AgentAnswer): string =>
  state === 'active'
    ? `${name} is resumed and active.\n`
    : `${name} is resumed; if its machine is up it links again in a moment. ` +
      `See: xim agents show ${name}\n`;

const sayState = (agent: AgentAnswer): string =>
  `${agent.name} is ${agent.state}${stillRunning(agent)}.\n`;

export const agentCommands: readonly Command[] = [
  listing<AgentAnswer>({
    words: ['agents', 'list'],
    summary: 'List agents, their state and what they serve',
    scope: 'either',
    path: '/agents',
    fields: filters,
    head,
    row,
    // Shared agents are the platform's: a project sees what they serve, not them.
    empty:
      'No agents of your own; shared ones serve what your endpoints let them (see: xim status).\n' +
      'Join one with: xim join-keys create',
  }),
  showing<AgentAnswer>({
    words: ['agents', 'show'],
    summary: 'Show an agent, its machine and its models',
    scope: 'either',
    path,
    operands: [operand],
    show,
  }),
  changing<ChangedAgentAnswer>({
    words: ['agents', 'set'],
    summary: 'Change an agent',
    scope: 'either',
    method: 'PATCH',
    versioned: true,
    path,
    operands: [operand],
    fields: settings,
    complete: (body) => Promise.resolve({ body: withStorageSwitch(body) }),
    say: (agent, { nowMs }) => fieldTable(show(agent, nowMs)),
  }),
  changing<AgentAnswer>({
    words: ['agents', 'suspend'],
    summary: 'Stop an agent until it is resumed',
    scope: 'either',
    method: 'POST',
    path: `${path}/suspend`,
    operands: [operand],
    fields: stopping,
    say: sayState,
  }),
  changing<AgentAnswer>({
    words: ['agents', 'resume'],
    summary: 'Let an agent work again',
    scope: 'either',
    method: 'POST',
    path: `${path}/resume`,
    operands: [operand],
    fields: reason,
    say: sayResumed,
  }),
  changing<AgentAnswer>({
    words: ['agents', 'remove'],
    summary: 'Remove an agent for good',
    details: 'Its credentials are void; the machine can join again with a new join key.',
    scope: 'either',
    method: 'DELETE',
    path,
    operands: [operand],
    fields: stopping,
    confirm: ([name]) => `Remove ${name} for good?`,
    say: ({ name }) => `${name} is removed. Its machine joins again with a new join key.\n`,
  }),
  changing<AgentAnswer>({
    words: ['agents', 'revoke-credentials'],
    summary: 'Void an agent’s credentials at once, for good',
    details: 'For a machine that was stolen: nothing that lies on it opens anything any more.',
    scope: 'either',
    method: 'POST',
    path: `${path}/revoke-credentials`,
    operands: [operand],
    fields: reason,
    confirm: ([name]) => `Void the credentials of ${name}, and cut what runs on it?`,
    say: ({ name }) =>
      `The credentials of ${name} are void. Its machine joins with a new join key.\n`,
  }),
  listing<AgentEventAnswer>({
    words: ['agents', 'events'],
    summary: 'List what happened to an agent, newest first',
    scope: 'either',
    path: `${path}/events`,
    operands: [operand],
    head: ['WHEN', 'WHAT', 'ACTOR', 'DETAIL'],
    row: (event, nowMs) => [
      ago(event.at, nowMs),
      event.kind,
      actorText(event),
      event.detail || null,
    ],
    empty: 'Nothing happened to it yet.',
  }),
  agentHealth,
  agentLogs,
];
