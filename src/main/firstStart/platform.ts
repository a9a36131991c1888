/**
 * Before a server serves: the first start sets the platform up (keys on disk before rows in the
 * database), later starts find their keys again and follow another `--model`.
 */
import { probeHardware } from '../../agent/joining/hardware.ts';
import type { Control } from '../../control/control.ts';
import type { ModelWish, SharedTier } from '../../control/platform/bootstrap.ts';
import { defaultTierForCpu } from '../../domain/tiers/tiers.ts';
import type { CredentialsFile } from './credentialsFile.ts';
import { defaultModelWish } from './modelWish.ts';
import { credentialsOf, settledCredentials } from './settledCredentials.ts';
import type { FoundCredentials, ServerUrls } from './settledCredentials.ts';
import { version } from '../process/version.ts';

export interface Platform {
  keys: FoundCredentials;
  /** Tier of the endpoint `default` and of the shared agent. */
  tier: SharedTier;
  model: { id: string; name: string; source: string } | undefined;
  /** The join key of the first start, for the first agent; undefined later. */
  firstJoinKey: { text: string; expiresAtMs: number } | undefined;
}

export interface PlatformOptions {
  control: Control;
  file: CredentialsFile;
  /** Undefined: the default at the first start, what is there later. */
  wish: ModelWish | undefined;
  adminEmail: string;
  /** The addresses, as far as they are known before the port is bound. */
  urls: ServerUrls;
  /** Lost credentials are made anew. */
  renewCredentials: boolean;
  note: (text: string) => void;
}

/** Sets the platform up, or opens it. */
export async function openPlatform(options: PlatformOptions): Promise<Platform> {
  const { control, wish } = options;
  if (!(await control.isBootstrapped())) return firstStart(options);
  if (wish !== undefined) {
    const outcome = await control.ensureDefaultModel(wish);
    if (outcome.ok && outcome.changed) options.note(`The model is now ${wish.name}.`);
    if (!outcome.ok) options.note('--model is ignored: there is no endpoint "default" any more.');
  }
  return {
    keys: await settledCredentials(options),
    tier: (await storedTier(control)) ?? (await machineTier()),
    model: (await control.defaultModel()) ?? undefined,
    firstJoinKey: undefined,
  };
}

/** What this machine's processor can serve. */
async function machineTier(): Promise<SharedTier> {
  const facts = await probeHardware({ agentVersion: version, engine: 'none' });
  return defaultTierForCpu(facts.cpu) ?? 'free';
}

/** The tier of the endpoint `default`, which the shared agent has to carry. */
async function storedTier(control: Control): Promise<SharedTier | undefined> {
  const tier = (await control.defaultEndpoint())?.tier;
  return tier === 'self_hosted' ? undefined : tier;
}

async function firstStart(options: PlatformOptions): Promise<Platform> {
  const { control, file, adminEmail, urls, note } = options;
  const tier = await machineTier();
  const wish = options.wish ?? defaultModelWish();
  const old = file.setAside();
  if (old !== undefined) {
    note(`This database is new. The keys of an earlier one open nothing here: they are in ${old}.`);
  }
  const outcome = await control.bootstrap({
    adminEmail,
    tier,
    model: wish,
    keep: (secrets) => {
      file.keepPending(credentialsOf(secrets, urls));
      return Promise.resolve();
    },
  });
  if (!outcome.ok) return openPlatform(options);
  file.adoptPending();
  const { joinKey } = outcome.credentials;
  return {
    keys: { credentials: credentialsOf(outcome.credentials, urls) },
    tier,
    model: (await control.defaultModel()) ?? undefined,
    firstJoinKey: { text: joinKey.text, expiresAtMs: joinKey.expiresAtMs },
  };
}
