/** `xim agents health`: how an agent is, and was over the last day. */
import type { AgentHealthAnswer, HealthSampleAnswer } from '../../api/control/agentHealth.ts';
import { print } from '../connection/withServer.ts';
import { ago, fieldTable, sizeText, textTable } from '../textTable.ts';
import { ownAgentRef } from './agentRef.ts';
import type { Reference } from './reference.ts';
import { resourceCommand } from './resourceCommand.ts';

type Measure = Exclude<keyof HealthSampleAnswer, 'at'>;
type Now = NonNullable<AgentHealthAnswer['now']>;

/** What a sample holds of its span, and so what the samples can say of the day. */
type Kept = 'mean' | 'most' | 'least';

interface Row {
  name: string;
  measure: Measure;
  kept: Kept;
  text: (value: number) => string;
  /** Of what it is a part. */
  of?: Measure;
}

const number = (value: number): string => String(Number(value.toFixed(value < 10 ? 1 : 0)));
const share = (value: number): string => `${(100 * value).toFixed(0)} %`;
const size = (bytes: number): string => sizeText(bytes) ?? '';

const rows: readonly Row[] = [
  { name: 'running', measure: 'in_flight', kept: 'mean', text: number, of: 'slots' },
  { name: 'waiting', measure: 'waiting', kept: 'most', text: number },
  { name: 'tokens/s', measure: 'tokens_per_second', kept: 'mean', text: number },
  { name: 'prompt tokens/s', measure: 'prompt_tokens_per_second', kept: 'mean', text: number },
  { name: 'KV cache', measure: 'kv_cache_use', kept: 'most', text: share },
  { name: 'accelerators', measure: 'accelerator_use', kept: 'mean', text: share },
  {
    name: 'their memory',
    measure: 'accelerator_memory_used_bytes',
    kept: 'most',
    text: size,
    of: 'accelerator_memory_total_bytes',
  },
  { name: 'temperature', measure: 'temperature_c', kept: 'most', text: (c) => `${number(c)} °C` },
  {
    name: 'memory free',
    measure: 'memory_available_bytes',
    kept: 'least',
    text: size,
    of: 'memory_total_bytes',
  },
  {
    name: 'disk free',
    measure: 'disk_free_bytes',
    kept: 'least',
    text: size,
    of: 'disk_total_bytes',
  },
];

export const agentHealth = resourceCommand(
  {
    words: ['agents', 'health'],
    summary: 'Show how an agent is, and was over the last day',
    details:
      'A dash: the agent, its engine or its driver does not say. The day is known in spans of ' +
      'minutes; of what flows their mean, of what fills up their most, of what runs out their ' +
      'least is kept. Spans and engines’ own figures: -o json.',
    scope: 'either',
    path: '/agents/{}/health',
    operands: [{ name: 'AGENT', reference: ownAgentRef as Reference<never> }],
  },
  {},
  async ({ call, session, context, options, operands: [name = ''] }) => {
    const path = await call.path();
    const health = await session.call<AgentHealthAnswer>({ method: 'GET', path });
    print({ context, options: options as never }, health, () =>
      healthText(health, { name, nowMs: context.clock.now() }),
    );
  },
);

function healthText(
  health: AgentHealthAnswer,
  { name, nowMs }: { name: string; nowMs: number },
): string {
  const { now, samples, state } = health;
  const heard = now === null ? '; it says nothing at present' : `, as of ${ago(now.at, nowMs)}`;
  const own = now?.resident_bytes ?? null;
  const known = rows.filter(({ measure }) => isKnown(health, measure));
  return [
    fieldTable([
      ['agent', name],
      ['state', `${state}${heard}`],
      ['last day', samples.length === 0 ? 'nothing is known of it' : spansText(samples, nowMs)],
      ...(own === null ? [] : [['agent’s own memory', sizeText(own)] as const]),
    ]),
    ...(known.length === 0 ? [] : ['\n', measuresTable(known, health)]),
    ...(now === null ? [] : [...enginesText(now), ...acceleratorsText(now)]),
  ].join('');
}

function isKnown({ now, samples }: AgentHealthAnswer, measure: Measure): boolean {
  return (now?.[measure] ?? null) !== null || samples.some((sample) => sample[measure] !== null);
}

/** From when to when: fewer than the day holds say that it was away. */
function spansText(samples: readonly HealthSampleAnswer[], nowMs: number): string {
  const [first, last] = [samples[0]?.at ?? null, samples.at(-1)?.at ?? null];
  const lastText = ago(last, nowMs);
  if (samples.length === 1) return `1 span, ${lastText}`;
  return `${samples.length} spans, ${ago(first, nowMs)} to ${lastText}`;
}

function measuresTable(known: readonly Row[], { now, samples }: AgentHealthAnswer): string {
  return textTable(
    ['', 'NOW', 'MEAN', 'LOWEST', 'HIGHEST'],
    known.map((row) => [row.name, nowText(row, now), ...dayTexts(row, samples)]),
  );
}

function nowText({ measure, of, text }: Row, now: Now | null): string | null {
  const value = now?.[measure] ?? null;
  if (value === null) return null;
  const whole = of === undefined ? null : (now?.[of] ?? null);
  return whole === null ? text(value) : `${text(value)} of ${text(whole)}`;
}

/** Mean, lowest and highest; of what only the worst is kept, nothing else can be said. */
function dayTexts(
  { measure, kept, text }: Row,
  samples: readonly HealthSampleAnswer[],
): (string | null)[] {
  const values = samples.flatMap((sample) => sample[measure] ?? []);
  if (values.length === 0) return [null, null, null];
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const [lowest, highest] = [text(Math.min(...values)), text(Math.max(...values))];
  switch (kept) {
    case 'mean':
      return [text(mean), lowest, highest];
    case 'most':
      return [null, null, highest];
    case 'least':
      return [null, lowest, null];
  }
}

function enginesText({ engines }: Now): string[] {
  if (engines.length === 0) return [];
  const table = textTable(
    ['MODEL', 'ENGINE', 'RUNNING', 'WAITING', 'TOKENS/S', 'PROMPT TOKENS/S', 'KV CACHE'],
    engines.map((engine) => [
      engine.model ?? engine.instance,
      engine.engine,
      String(engine.running),
      orNull(engine.waiting, number),
      orNull(engine.tokens_per_second, number),
      orNull(engine.prompt_tokens_per_second, number),
      orNull(engine.kv_cache_use, share),
    ]),
  );
  return ['\n', table];
}

function acceleratorsText({ accelerators }: Now): string[] {
  if (accelerators.length === 0) return [];
  const table = textTable(
    ['ACCELERATOR', 'IN USE', 'MEMORY', 'OF', 'TEMPERATURE', 'POWER'],
    accelerators.map((one) => [
      one.name,
      orNull(one.utilization, share),
      sizeText(one.memory_used_bytes),
      sizeText(one.memory_total_bytes),
      orNull(one.temperature_c, (c) => `${number(c)} °C`),
      orNull(one.power_w, (watts) => `${number(watts)} W`),
    ]),
  );
  return ['\n', table];
}

const orNull = (value: number | null, text: (value: number) => string): string | null =>
  value === null ? null : text(value);
