/**
 * `npm run build`: builds what is not current (`assets.ts`). A server runs it before it starts, so
 * it says nothing when there is nothing to do. `--force` builds everything.
 */
import { assets, buildAsset, isCurrent } from './assets.ts';

const force = process.argv.includes('--force');

for (const asset of assets) {
  if (!force && isCurrent(asset)) continue;
  const startedMs = performance.now();
  process.stderr.write(`building ${asset.name} …\n`);
  await buildAsset(asset);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  process.stderr.write(`built ${asset.name} in ${seconds} s\n`);
}
