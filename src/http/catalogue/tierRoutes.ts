/** Service tiers, and the map of near regions. */
import type { regionContracts, RegionMapAnswer } from '../../api/control/regions.ts';
import type { TierAnswer, tierContracts } from '../../api/control/tiers.ts';
import type { RegionMapView } from '../../control/catalogue/regionMap.ts';
import type { TierView } from '../../control/catalogue/tiers.ts';
import type { Control } from '../../control/control.ts';
import type { Tier } from '../../domain/tiers/tiers.ts';
import { isoTime, isoTimeOrNull } from '../control/isoTime.ts';
import type { TopicHandlers } from '../control/topicHandlers.ts';

export function createTierRoutes(options: {
  control: Pick<Control, 'tiers' | 'setTierFeatures' | 'regionMap' | 'setRegionMap'>;
}): TopicHandlers<typeof tierContracts & typeof regionContracts> {
  const { control } = options;
  return {
    async tiers(call) {
      const outcome = await control.tiers({ caller: call.caller });
      return outcome.ok ? call.json({ data: outcome.tiers.map(tierAnswer) }) : call.refuse(outcome);
    },
    async updateTier(call) {
      const { caller, body, expectedVersion } = call;
      const { features_json: features } = body;
      const tier = call.part('tier');
      const outcome = await control.setTierFeatures({ caller, tier, features, expectedVersion });
      return outcome.ok ? call.json(tierAnswer(outcome.tier)) : call.refuse(outcome);
    },
    async regionMap(call) {
      const outcome = await control.regionMap({ caller: call.caller });
      return outcome.ok ? call.json(mapAnswer(outcome.map)) : call.refuse(outcome);
    },
    async setRegionMap(call) {
      const { caller, body, expectedVersion } = call;
      const { groups } = body;
      const outcome = await control.setRegionMap({ caller, groups, expectedVersion });
      return outcome.ok ? call.json(mapAnswer(outcome.map)) : call.refuse(outcome);
    },
  };
}

function tierAnswer(view: TierView): TierAnswer {
  const { tier, measured } = view;
  const { slug, name, accelerator, minimumIsolation } = tier;
  return {
    slug,
    name,
    accelerator,
    ...(figures(tier) as Figures),
    minimum_isolation: minimumIsolation,
    deprecated_slugs: view.deprecatedSlugs,
    overrides: figures(view.overridden),
    features_json: view.features,
    measured: {
      since: isoTime(measured.sinceMs),
      requests: measured.requests,
      success_share: measured.successShare,
      ttft_p50_ms: measured.ttftP50Ms,
      ttft_p99_ms: measured.ttftP99Ms,
      tokens_per_second: measured.tokensPerSecond,
    },
    version: view.version,
  };
}

type Figures = Pick<TierAnswer, keyof TierAnswer['overrides']>;

/** Names of the figures of a tier, as on the wire. */
const figureNames = {
  tenancy: 'tenancy',
  priority: 'priority',
  tokensPerMinute: 'tokens_per_minute',
  requestsPerMinute: 'requests_per_minute',
  concurrentPerProject: 'concurrent_per_project',
  engineBatch: 'engine_batch',
  requestTimeoutMs: 'request_timeout_ms',
  idleStreamTimeoutMs: 'idle_stream_timeout_ms',
  maxModelBytes: 'max_model_bytes',
  price: 'price',
  streaming: 'streaming',
  batching: 'batching',
  fallbackByDefault: 'fallback_by_default',
} as const satisfies Partial<Record<keyof Tier, keyof Figures>>;

function figures(tier: Partial<Tier>): TierAnswer['overrides'] {
  const names = Object.keys(figureNames) as (keyof typeof figureNames)[];
  return Object.fromEntries(
    names.flatMap((name) => (name in tier ? [[figureNames[name], tier[name]]] : [])),
  );
}

function mapAnswer(map: RegionMapView): RegionMapAnswer {
  return {
    groups: map.groups.map((group) => [...group]),
    updated_at: isoTimeOrNull(map.updatedAtMs === 0 ? null : map.updatedAtMs),
    version: map.version,
  };
}
