/** Which traces are recorded: the samplers that OpenTelemetry names. */
import type { Traceparent } from './traceContext.ts';

export const samplerNames = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;

export type SamplerName = (typeof samplerNames)[number];

/** Whether a trace is recorded. `parent`: what the caller says of it. */
export type Sampler = (traceId: string, parent: Traceparent | undefined) => boolean;

const prefix = 'parentbased_';
/** The last 56 bits of a trace's id are random (W3C Trace Context, level 2). */
const randomDigits = 14;
const randomRange = 2 ** 56;

/** @param ratio Share of traces, for those with `traceidratio` in their names. */
export function createSampler(name: SamplerName, ratio: number): Sampler {
  const root = rootSampler(name.replace(prefix, ''), ratio);
  if (!name.startsWith(prefix)) return root;
  return (traceId, parent) => parent?.sampled ?? root(traceId, parent);
}

function rootSampler(name: string, ratio: number): Sampler {
  if (name === 'always_on') return () => true;
  if (name === 'always_off') return () => false;
  // Whoever decides by the same rule with the same share keeps the same traces.
  const least = (1 - ratio) * randomRange;
  return (traceId) => Number.parseInt(traceId.slice(-randomDigits), 16) >= least;
}
