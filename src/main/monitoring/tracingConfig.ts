/**
 * OpenTelemetry's own variables, as far as traces need them; nothing is sent without an address.
 * They are often set for every program of a machine: what means something to others and nothing to
 * us does not keep the server from starting. It is warned of, as the specification has it.
 */
import type { ConfigOf } from '../../lib/config.ts';
import { defineConfig } from '../../lib/config.ts';
import { samplerNames, type SamplerName } from '../../lib/tracing/sampler.ts';

const longestTimeoutMs = 600_000;
const defaultSampler: SamplerName = 'parentbased_always_on';

export const tracingTable = defineConfig({
  otelEndpoint: {
    type: 'text',
    env: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    default: undefined,
    help: 'Base address of a collector that takes OTLP over HTTP; traces go to its /v1/traces.',
    group: 'Traces',
    check: addressProblem,
  },
  otelTracesEndpoint: {
    type: 'text',
    env: 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
    default: undefined,
    help: 'The whole address for traces, instead of the base.',
    group: 'Traces',
    check: addressProblem,
  },
  otelHeaders: {
    type: 'text',
    env: 'OTEL_EXPORTER_OTLP_HEADERS',
    default: undefined,
    secret: true,
    help: 'Headers for the collector: name=value,…, percent-encoded.',
    group: 'Traces',
    check: headersProblem,
  },
  otelTracesHeaders: {
    type: 'text',
    env: 'OTEL_EXPORTER_OTLP_TRACES_HEADERS',
    default: undefined,
    secret: true,
    help: 'The same for traces alone, instead of the others.',
    group: 'Traces',
    check: headersProblem,
  },
  otelTimeoutMs: {
    type: 'integer',
    env: 'OTEL_EXPORTER_OTLP_TIMEOUT',
    default: 10_000,
    min: 1,
    max: longestTimeoutMs,
    help: 'How long one call of the collector may take, in ms.',
    group: 'Traces',
  },
  otelProtocol: {
    type: 'text',
    env: 'OTEL_EXPORTER_OTLP_PROTOCOL',
    default: undefined,
    help: 'Only http/json is spoken, which collectors take on port 4318; others are warned of.',
    group: 'Traces',
  },
  otelExporter: {
    type: 'text',
    env: 'OTEL_TRACES_EXPORTER',
    default: 'otlp',
    help: 'Anything but otlp turns traces off, whatever else is set.',
    group: 'Traces',
  },
  otelDisabled: {
    type: 'text',
    env: 'OTEL_SDK_DISABLED',
    default: 'false',
    help: 'true turns traces off, too.',
    group: 'Traces',
  },
  otelServiceName: {
    type: 'text',
    env: 'OTEL_SERVICE_NAME',
    default: undefined,
    help: 'What the server is called in traces. By default xim.',
    group: 'Traces',
  },
  otelResource: {
    type: 'text',
    env: 'OTEL_RESOURCE_ATTRIBUTES',
    default: undefined,
    help: 'What else is said of the server: name=value,…, percent-encoded.',
    group: 'Traces',
    check: headersProblem,
  },
  otelSampler: {
    type: 'text',
    env: 'OTEL_TRACES_SAMPLER',
    default: defaultSampler,
    help: `Which requests are recorded: ${samplerNames.join(', ')}.`,
    group: 'Traces',
  },
  otelSamplerShare: {
    type: 'text',
    env: 'OTEL_TRACES_SAMPLER_ARG',
    default: '1',
    help: 'The share, 0 to 1, for a sampler with traceidratio in its name.',
    group: 'Traces',
  },
  otelQueue: {
    type: 'integer',
    env: 'OTEL_BSP_MAX_QUEUE_SIZE',
    default: 2048,
    min: 1,
    max: 1_000_000,
    help: 'Spans that wait for the collector at most; what is more is dropped and counted.',
    group: 'Traces',
  },
  otelBatch: {
    type: 'integer',
    env: 'OTEL_BSP_MAX_EXPORT_BATCH_SIZE',
    default: 512,
    min: 1,
    max: 1_000_000,
    help: 'Spans in one call.',
    group: 'Traces',
  },
  otelDelayMs: {
    type: 'integer',
    env: 'OTEL_BSP_SCHEDULE_DELAY',
    default: 5000,
    min: 0,
    max: 3_600_000,
    help: 'How long spans are gathered for one call, in ms.',
    group: 'Traces',
  },
});

export type TracingConfig = ConfigOf<typeof tracingTable>;

/** The sampler that is asked for, and sentences about what is not to be had. */
export function samplerOf(config: TracingConfig): {
  name: SamplerName;
  ratio: number;
  warnings: readonly string[];
} {
  const warnings: string[] = [];
  const { otelSampler, otelSamplerShare, otelProtocol } = config;
  const name = samplerNames.find((one) => one === otelSampler) ?? defaultSampler;
  if (name !== otelSampler) {
    warnings.push(`OTEL_TRACES_SAMPLER=${otelSampler} is not known here: ${name} is used`);
  }
  const share = Number(otelSamplerShare);
  const isShare = share >= 0 && share <= 1;
  if (!isShare && name.endsWith('traceidratio')) {
    warnings.push(`OTEL_TRACES_SAMPLER_ARG=${otelSamplerShare} is no share: 1 is used`);
  }
  if (otelProtocol !== undefined && otelProtocol !== 'http/json') {
    warnings.push(`OTEL_EXPORTER_OTLP_PROTOCOL=${otelProtocol} is not spoken: http/json is`);
  }
  return { name, ratio: isShare ? share : 1, warnings };
}

/** Where spans go; undefined: traces are off. */
export function collectorUrl(config: TracingConfig): string | undefined {
  if (config.otelDisabled.toLowerCase() === 'true') return undefined;
  if (config.otelExporter !== 'otlp') return undefined;
  const { otelEndpoint: base, otelTracesEndpoint: whole } = config;
  if (whole !== undefined) return whole;
  return base === undefined ? undefined : `${base.replace(/\/+$/, '')}/v1/traces`;
}

/** `name=value,…` as OpenTelemetry writes it; undefined when it is none. */
export function parsePairs(text: string): Record<string, string> | undefined {
  const pairs: Record<string, string> = {};
  for (const part of text.split(',')) {
    if (part.trim() === '') continue;
    const [name = '', ...value] = part.split('=');
    if (name.trim() === '' || value.length === 0) return undefined;
    try {
      pairs[decodeURIComponent(name.trim())] = decodeURIComponent(value.join('=').trim());
    } catch {
      // A lone per cent sign is an answer of its own.
      return undefined;
    }
  }
  return pairs;
}

function headersProblem(text: string): string | undefined {
  return parsePairs(text) === undefined ? 'give name=value pairs, divided by commas' : undefined;
}

function addressProblem(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return undefined;
  return 'give an address such as http://127.0.0.1:4318';
}
