/**
 * Service tiers: the one table that the API, the limits, the bill and the dashboard read, and the
 * rules that say which tiers an agent carries.
 *
 * Invariants
 * T1 A private agent always carries `self_hosted` and never `free`; a shared one the reverse.
 * T2 Deprecated slugs exist on input only: they are stored as the tier that replaced them.
 * T3 An agent is offered for a tier only if it carries it. `self_hosted` is of the CPU class: it
 *    never rules an agent out by accelerator, and it never stands for a GPU tier.
 */
import type { IsolationLevel } from '../agents/isolation.ts';

export const tierSlugs = [
  'free',
  'cpu_amd_optimized',
  'cpu_intel_optimized',
  'gpu_nvidia_shared',
  'gpu_amd_shared',
  'gpu_intel_shared',
  'self_hosted',
] as const;

export type TierSlug = (typeof tierSlugs)[number];

/** Tokens have a price per million; hours of a linked agent have one per hour. */
export type TierPrice =
  | { kind: 'per_million_tokens'; amount: number }
  | { kind: 'per_hour'; amount: number };

export interface Tier {
  slug: TierSlug;
  name: string;
  accelerator: string;
  /** What kind of machine the tier asks for; `any` asks for none. */
  machine: 'any' | 'cpu' | 'gpu';
  tenancy: 'multi' | 'single';
  /** Weight in the fair queue: a larger share, never starvation of the others. */
  priority: number;
  /** Null = not limited. */
  tokensPerMinute: number | null;
  requestsPerMinute: number | null;
  /** Running requests of one project on this tier. */
  concurrentPerProject: number;
  engineBatch: number;
  /** From dispatch to the first body byte (stream) or to the end (otherwise). */
  requestTimeoutMs: number;
  /** Longest gap between two body bytes to a client that reads. */
  idleStreamTimeoutMs: number;
  /** Null = no bound. */
  maxModelBytes: number | null;
  price: TierPrice;
  streaming: boolean;
  /** Whether the batch API is open to endpoints of this tier. */
  batching: boolean;
  /** The least isolation on the tier; an endpoint may demand more. `none` until levels exist. */
  minimumIsolation: IsolationLevel;
  /** Whether an endpoint created on this tier falls back to shared agents unless told otherwise. */
  fallbackByDefault: boolean;
}

const gigabyte = 1_000_000_000;

const shared = {
  tenancy: 'multi',
  streaming: true,
  minimumIsolation: 'none',
  fallbackByDefault: true,
} as const;

const cpu = {
  ...shared,
  machine: 'cpu',
  priority: 20,
  tokensPerMinute: 100_000,
  requestsPerMinute: 128,
  concurrentPerProject: 20,
  engineBatch: 8,
  requestTimeoutMs: 300_000,
  idleStreamTimeoutMs: 600_000,
  maxModelBytes: null,
  price: { kind: 'per_million_tokens', amount: 0.5 },
  batching: true,
} as const;

const gpu = {
  ...shared,
  machine: 'gpu',
  priority: 25,
  tokensPerMinute: 500_000,
  requestsPerMinute: 256,
  concurrentPerProject: 50,
  engineBatch: 16,
  requestTimeoutMs: 300_000,
  idleStreamTimeoutMs: 600_000,
  maxModelBytes: null,
  batching: true,
} as const;

/** The table as the product ships it. An operator's overrides go through `tierTable`. */
export const defaultTiers: Readonly<Record<TierSlug, Tier>> = {
  free: {
    ...shared,
    slug: 'free',
    name: 'Free',
    accelerator: 'any shared agent',
    machine: 'any',
    priority: 10,
    tokensPerMinute: 10_000,
    requestsPerMinute: 64,
    concurrentPerProject: 5,
    engineBatch: 1,
    requestTimeoutMs: 30_000,
    idleStreamTimeoutMs: 120_000,
    maxModelBytes: 48 * gigabyte,
    price: { kind: 'per_million_tokens', amount: 0 },
    batching: false,
  },
  cpu_amd_optimized: {
    ...cpu,
    slug: 'cpu_amd_optimized',
    name: 'CPU AMD Optimized',
    accelerator: 'AMD EPYC (ZenDNN)',
  },
  cpu_intel_optimized: {
    ...cpu,
    slug: 'cpu_intel_optimized',
    name: 'CPU Intel Optimized',
    accelerator: 'Intel Xeon (oneAPI)',
  },
  gpu_nvidia_shared: {
    ...gpu,
    slug: 'gpu_nvidia_shared',
    name: 'GPU NVIDIA Shared',
    accelerator: 'CUDA',
    price: { kind: 'per_million_tokens', amount: 1.25 },
  },
  gpu_amd_shared: {
    ...gpu,
    slug: 'gpu_amd_shared',
    name: 'GPU AMD Shared',
    accelerator: 'ROCm',
    price: { kind: 'per_million_tokens', amount: 1 },
  },
  gpu_intel_shared: {
    ...gpu,
    slug: 'gpu_intel_shared',
    name: 'GPU Intel Shared',
    accelerator: 'oneAPI, Arc, Gaudi',
    price: { kind: 'per_million_tokens', amount: 1 },
  },
  self_hosted: {
    slug: 'self_hosted',
    name: 'Self-Hosted',
    accelerator: 'user-supplied',
    machine: 'cpu',
    tenancy: 'single',
    priority: 30,
    tokensPerMinute: null,
    requestsPerMinute: null,
    concurrentPerProject: 96,
    engineBatch: 64,
    requestTimeoutMs: 1_800_000,
    idleStreamTimeoutMs: 3_600_000,
    maxModelBytes: 512 * gigabyte,
    price: { kind: 'per_hour', amount: 20 / 730 },
    streaming: true,
    batching: true,
    minimumIsolation: 'none',
    fallbackByDefault: false,
  },
};

export type TierTable = Readonly<Record<TierSlug, Tier>>;

/** What an operator may change of a tier. */
export type TierOverride = Partial<
  Omit<Tier, 'slug' | 'name' | 'accelerator' | 'machine' | 'minimumIsolation'>
>;

/** The shipped table with an operator's figures laid over it. */
export function tierTable(overrides: Partial<Record<TierSlug, TierOverride>> = {}): TierTable {
  const entries = tierSlugs.map((slug) => [slug, { ...defaultTiers[slug], ...overrides[slug] }]);
  return Object.fromEntries(entries) as Record<TierSlug, Tier>;
}

/** T2: slugs of earlier releases, and what they are stored as. */
export const deprecatedTierSlugs = {
  gpu_nvidia_dedicated: 'gpu_nvidia_shared',
  gpu_amd_dedicated: 'gpu_amd_shared',
} as const satisfies Record<string, TierSlug>;

export type DeprecatedTierSlug = keyof typeof deprecatedTierSlugs;

export type ResolvedTier =
  /** `deprecated` names the slug that was given, when the answer must carry a warning. */
  { ok: true; slug: TierSlug; deprecated?: DeprecatedTierSlug } | { ok: false; reason: 'unknown' };

/** Turns a slug from outside into a tier. */
export function resolveTierSlug(input: string): ResolvedTier {
  if (isTierSlug(input)) return { ok: true, slug: input };
  if (isDeprecated(input)) {
    return { ok: true, slug: deprecatedTierSlugs[input], deprecated: input };
  }
  return { ok: false, reason: 'unknown' };
}

export function isTierSlug(input: string): input is TierSlug {
  return (tierSlugs as readonly string[]).includes(input);
}

function isDeprecated(input: string): input is DeprecatedTierSlug {
  return Object.hasOwn(deprecatedTierSlugs, input);
}

/** What default tiers follow from: the part of an agent's facts that says which machine it is. */
export interface CpuFacts {
  vendor: 'amd' | 'intel' | 'arm' | 'other';
  /** True for EPYC and Xeon. */
  serverClass: boolean;
}
export interface AcceleratorFacts {
  kind: 'nvidia' | 'amd' | 'intel' | 'gaudi';
}

const tierOfAccelerator: Readonly<Record<AcceleratorFacts['kind'], TierSlug>> = {
  nvidia: 'gpu_nvidia_shared',
  amd: 'gpu_amd_shared',
  intel: 'gpu_intel_shared',
  gaudi: 'gpu_intel_shared',
};

/** The CPU tier of a processor; null for one that has none (not an EPYC, not a Xeon). */
export function defaultTierForCpu(
  cpuFacts: CpuFacts,
): 'cpu_amd_optimized' | 'cpu_intel_optimized' | null {
  if (!cpuFacts.serverClass) return null;
  if (cpuFacts.vendor === 'amd') return 'cpu_amd_optimized';
  return cpuFacts.vendor === 'intel' ? 'cpu_intel_optimized' : null;
}

/** The accelerator's default: each kind of accelerator, or without one the processor. */
export function defaultTiersOf(facts: {
  accelerators: readonly AcceleratorFacts[];
  cpu: CpuFacts;
}): TierSlug[] {
  if (facts.accelerators.length > 0) {
    return [...new Set(facts.accelerators.map((one) => tierOfAccelerator[one.kind]))];
  }
  const tier = defaultTierForCpu(facts.cpu);
  return tier === null ? [] : [tier];
}

/** T1: the tiers that an agent carries, in the order of the table. */
export function effectiveTiers(agent: {
  accelerators: readonly AcceleratorFacts[];
  cpu: CpuFacts;
  ownership: 'project' | 'shared';
  /** As set on the agent or its join key; null = the accelerator's default. */
  supportedTiers: readonly TierSlug[] | null;
}): TierSlug[] {
  const carried = new Set(agent.supportedTiers ?? defaultTiersOf(agent));
  const isPrivate = agent.ownership === 'project';
  carried.add(isPrivate ? 'self_hosted' : 'free');
  carried.delete(isPrivate ? 'free' : 'self_hosted');
  return tierSlugs.filter((slug) => carried.has(slug));
}
