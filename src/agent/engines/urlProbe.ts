/**
 * What an attached engine is: which server, which models, which abilities. Everything is asked over
 * HTTP; nothing is assumed from a name but which of its own routes to ask next.
 */
import { abilityProbeTimeoutMs, engineMetricsTimeoutMs } from '../limits.ts';
import { arrayOf, objectOf, stringOf } from '../serving/jsonValue.ts';
import { askEngine, type EngineAnswer, type ProbeTarget } from './askEngine.ts';
import { probeContinue } from './continueProbe.ts';
import type { JsonObject } from './engine.ts';
import { heldBySglang, heldByVllm } from './engineMemory.ts';

export interface EngineModel {
  id: string;
  contextLength?: number;
}

export type ModelsOutcome =
  | { kind: 'up'; models: readonly EngineModel[]; ownedBy: string | undefined }
  | { kind: 'down'; detail: string };

export interface EngineFacts {
  engine: string;
  version: string | undefined;
  /** As the engine says; undefined when it does not. */
  slots: number | undefined;
  /** Of one slot, for every model of the engine. */
  contextLength: number | undefined;
  /** Tokens of keys and values that all slots share; undefined: it does not say, or they do not. */
  holdsTokens: number | undefined;
}

/** Whether the engine is there and healthy, and what it serves. */
export async function probeModels(
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<ModelsOutcome> {
  // llama-server and vLLM answer 503 while they load; those without the route answer 404.
  const health = await askEngine(target, { path: '/health', signal });
  if (health.kind !== 'answered') return { kind: 'down', detail: health.detail };
  if (health.status >= 500) return { kind: 'down', detail: `it is not ready (${health.status})` };
  const listed = await askEngine(target, { path: '/v1/models', signal });
  if (listed.kind !== 'answered') return { kind: 'down', detail: listed.detail };
  if (listed.status === 401 || listed.status === 403) {
    return { kind: 'down', detail: 'it wants another key: give it with --engine-key' };
  }
  if (listed.status !== 200 || listed.body === undefined) {
    return { kind: 'down', detail: `/v1/models answered ${listed.status}` };
  }
  const entries = arrayOf(listed.body['data']).map((entry) => objectOf(entry) ?? {});
  const models = entries.flatMap((entry) => modelOf(entry));
  return { kind: 'up', models, ownedBy: stringOf(entries[0]?.['owned_by']) };
}

const unknownFacts: EngineFacts = {
  engine: 'openai-compatible',
  version: undefined,
  slots: undefined,
  contextLength: undefined,
  holdsTokens: undefined,
};

/** Name, version and slots. Best effort: what is not told stays unknown. `broke`: a call did. */
export async function probeFacts(
  target: ProbeTarget,
  known: { ownedBy: string | undefined; signal: AbortSignal },
): Promise<{ facts: EngineFacts; broke: boolean }> {
  let broke = false;
  const ask = async (path: string): Promise<Told> => {
    const answer = await askEngine(target, { path, signal: known.signal });
    broke ||= answer.kind === 'failed';
    const isThere = answer.kind === 'answered' && answer.status === 200;
    return isThere ? answer : { text: '', body: undefined };
  };
  const facts = await factsFrom(ask, known.ownedBy);
  return { facts, broke };
}

interface Told {
  text: string;
  body: JsonObject | undefined;
}

async function factsFrom(
  ask: (path: string) => Promise<Told>,
  ownedBy: string | undefined,
): Promise<EngineFacts> {
  const get = async (path: string): Promise<JsonObject | undefined> => (await ask(path)).body;
  switch (ownedBy) {
    case 'vllm': {
      const version = stringOf((await get('/version'))?.['version']);
      const holdsTokens = heldByVllm((await ask('/metrics')).text);
      return { ...unknownFacts, engine: ownedBy, version, holdsTokens };
    }
    case 'sglang': {
      const version = stringOf((await get('/version'))?.['version']);
      const holdsTokens = heldBySglang(await get('/get_server_info'));
      return { ...unknownFacts, engine: ownedBy, version, holdsTokens };
    }
    case 'llamacpp': {
      const props = await get('/props');
      return {
        ...unknownFacts,
        engine: 'llama.cpp',
        version: stringOf(props?.['build_info']),
        slots: positive(props?.['total_slots']),
        contextLength: positive(objectOf(props?.['default_generation_settings'])?.['n_ctx']),
      };
    }
    default: {
      const version = stringOf((await get('/api/version'))?.['version']);
      if (version === undefined) return unknownFacts;
      return { ...unknownFacts, engine: 'ollama', version };
    }
  }
}

const routes = [
  ['chat', '/v1/chat/completions'],
  ['completions', '/v1/completions'],
  ['embeddings', '/v1/embeddings'],
] as const;

/** By ability: whether the engine has it. Of what gave no answer there is none. */
export type Answers = ReadonlyMap<string, boolean>;

/** Whether the engine has said of each route whether it is there. */
export const areRoutesKnown = (known: Answers): boolean => known.size === routes.length;

/** Abilities that the engine has. */
export const shownBy = (known: Answers): string[] =>
  [...known].flatMap(([ability, isThere]) => (isThere ? ability : []));

/**
 * Routes that exist: an empty body costs no computing and is refused, but not with 404. A call that
 * breaks says nothing of a route, and only those that are not `known` are asked.
 */
export async function probeRoutes(
  target: ProbeTarget,
  { known, signal }: { known: Answers; signal: AbortSignal },
): Promise<Answers> {
  const answered = new Map(known);
  for (const [ability, path] of routes) {
    if (answered.has(ability)) continue;
    const answer = await askEngine(target, { path, body: {}, signal });
    if (answer.kind === 'failed') continue;
    const isThere = answer.kind === 'answered' && ![404, 405, 501].includes(answer.status);
    answered.set(ability, isThere);
  }
  return answered;
}

interface AbilityProbe {
  ability: string;
  ask: JsonObject;
  /** Whether a 200 answer shows that the parameter was not just ignored. */
  shows: (choices: readonly JsonObject[]) => boolean;
}

const schema = { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] };
/** The smallest picture that every decoder takes: one transparent pixel. */
const pixel =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChw' +
  'GA60e6kgAAAABJRU5ErkJggg==';

const beginsWithBrace = (choices: readonly JsonObject[]): boolean => {
  const content = stringOf(objectOf(choices[0]?.['message'])?.['content']);
  return content?.trimStart().startsWith('{') === true;
};

/** One short generation each; what an engine merely ignores does not count. */
const abilityProbes: readonly AbilityProbe[] = [
  {
    ability: 'logprobs',
    ask: { logprobs: true, top_logprobs: 1, max_tokens: 1 },
    shows: (choices) => objectOf(choices[0]?.['logprobs']) !== undefined,
  },
  { ability: 'choices', ask: { n: 2, max_tokens: 1 }, shows: (choices) => choices.length === 2 },
  {
    ability: 'tools',
    ask: {
      max_tokens: 1,
      tools: [{ type: 'function', function: { name: 'look', parameters: schema } }],
    },
    shows: () => true,
  },
  {
    ability: 'json',
    ask: { max_tokens: 8, response_format: { type: 'json_object' } },
    shows: beginsWithBrace,
  },
  {
    ability: 'json_schema',
    ask: {
      max_tokens: 8,
      response_format: { type: 'json_schema', json_schema: { name: 'probe', schema } },
    },
    shows: beginsWithBrace,
  },
  {
    ability: 'image',
    ask: {
      max_tokens: 1,
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?' },
            { type: 'image_url', image_url: { url: pixel } },
          ],
        },
      ],
    },
    shows: () => true,
  },
];

/** Whether the engine has said of each ability beyond plain text whether it is there. */
export const areAbilitiesKnown = (known: Answers): boolean =>
  known.size === abilityProbes.length + 1;

/**
 * What the model's chat route can do beyond plain text, found out with one short answer each. Only
 * what is not `known` is asked.
 */
export async function probeAbilities(
  target: ProbeTarget,
  asked: { engineModel: string; known: Answers; signal: AbortSignal },
): Promise<Answers> {
  const { engineModel, signal } = asked;
  const answered = new Map(asked.known);
  for (const probe of abilityProbes) {
    if (signal.aborted) break;
    if (answered.has(probe.ability)) continue;
    const body = {
      model: engineModel,
      messages: [{ role: 'user', content: 'Say one word about JSON.' }],
      temperature: 0,
      ...probe.ask,
    };
    const path = '/v1/chat/completions';
    const answer = await askEngine(target, {
      path,
      body,
      signal,
      timeoutMs: abilityProbeTimeoutMs,
    });
    if (answer.kind === 'failed') continue;
    answered.set(probe.ability, isShown(probe, answer));
  }
  const goesOn = answered.has('continue')
    ? undefined
    : await probeContinue(target, { engineModel, signal });
  if (goesOn !== undefined) answered.set('continue', goesOn);
  return answered;
}

function isShown({ shows }: AbilityProbe, answer: EngineAnswer): boolean {
  if (answer.kind !== 'answered' || answer.status !== 200) return false;
  const choices = arrayOf(answer.body?.['choices']).map((choice) => objectOf(choice) ?? {});
  return choices.length > 0 && shows(choices);
}

/**
 * The engine's page of metrics. `none`: it has none, and asking again is of no use while it runs.
 */
export async function probeMetrics(
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<{ kind: 'page'; text: string } | { kind: 'none' } | { kind: 'failed' }> {
  const timeoutMs = engineMetricsTimeoutMs;
  const answer = await askEngine(target, { path: '/metrics', signal, timeoutMs });
  if (answer.kind !== 'answered') return { kind: 'failed' };
  return answer.status === 200 ? { kind: 'page', text: answer.text } : { kind: 'none' };
}

function modelOf(entry: JsonObject): EngineModel[] {
  const id = stringOf(entry['id']);
  if (id === undefined) return [];
  const length = positive(entry['max_model_len']);
  return [{ id, ...(length === undefined ? {} : { contextLength: length }) }];
}

function positive(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 ? value : undefined;
}
