/**
 * The default model for tests, from the product's own model cache in a directory that outlives the
 * run (`XIM_TEST_CACHE`, else `.xim-test-cache` in the repository).
 */
import path from 'node:path';
import type { ModelFile } from '../../agent/engines/engine.ts';
import { defaultModel } from '../../agent/models/defaultModel.ts';
import { openModelCache } from '../../agent/models/modelCache.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { systemRandom } from '../../lib/random.ts';
import type { DesiredModel } from '../../protocol/messages/routerControl.ts';

export const realModelCacheDir =
  process.env['XIM_TEST_CACHE'] ?? path.join(import.meta.dirname, '../../../.xim-test-cache');

/** The catalogue's entry of the default model. */
export const realModelDesired: DesiredModel = {
  modelId: 'mdl_default',
  name: defaultModel.name,
  source: defaultModel.source,
  format: defaultModel.format,
  task: defaultModel.task,
  sizeBytes: null,
  sha256: null,
  contextLength: null,
};

export type RealModel =
  | { kind: 'ready'; file: ModelFile }
  /** Why a test cannot have it: no source is reachable. */
  | { kind: 'unreachable'; reason: string };

/** Fetches the model, or takes it from the cache. */
export async function realModel(): Promise<RealModel> {
  const opened = await openModelCache({
    dir: realModelCacheDir,
    hubUrl: process.env['HF_ENDPOINT'] ?? 'https://huggingface.co',
    allowedPaths: [],
    allowPrivateAddresses: false,
    python: 'python3',
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
  });
  if (opened.kind === 'failed') return { kind: 'unreachable', reason: opened.message };
  try {
    const outcome = await opened.cache.ensure(realModelDesired, {
      progress: () => {},
      signal: new AbortController().signal,
    });
    if (outcome.kind === 'ready') {
      return { kind: 'ready', file: { path: outcome.path, sha256: outcome.sha256 } };
    }
    const tried = outcome.kind === 'failed' ? outcome.tried.join(' | ') : 'cancelled';
    return { kind: 'unreachable', reason: `no source of the model is reachable: ${tried}` };
  } finally {
    await opened.cache.close();
  }
}
