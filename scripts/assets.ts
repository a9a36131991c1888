/**
 * What is built from the sources before a server can hand it out: the dashboard and the agent's
 * package. Each has inputs, an output folder under `build/`, and a stamp with the inputs' digest,
 * so that nothing is built twice.
 *
 * Invariant
 * B1 An output appears by rename, whole; its stamp is inside it, so that the two cannot differ.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export interface Asset {
  name: string;
  /** Files and folders whose content decides, relative to the root. */
  inputs: readonly string[];
  /** Builds into an empty folder. */
  build(directory: string): Promise<void>;
}

const root = path.join(import.meta.dirname, '..');
const stampName = '.sources';

export const assets: readonly Asset[] = [
  {
    name: 'dashboard',
    inputs: ['dashboard', 'src/api', 'package-lock.json', 'scripts/assets.ts'],
    async build(directory) {
      const { build } = await import('vite');
      const dashboard = path.join(root, 'dashboard');
      await build({
        root: dashboard,
        configFile: path.join(dashboard, 'vite.config.ts'),
        logLevel: 'warn',
        build: { outDir: directory, emptyOutDir: true },
      });
    },
  },
  {
    name: 'install',
    inputs: [
      'package-lock.json',
      'package.json',
      'scripts',
      'src/agent',
      'src/api',
      'src/cli',
      'src/lib',
      'src/main',
      'src/protocol',
    ],
    async build(directory) {
      const { packAgent } = await import('./packAgent.ts');
      await packAgent(directory);
    },
  },
];

const outputOf = (asset: Asset): string => path.join(root, 'build', asset.name);

/** Whether the output was built from the inputs as they are now. */
export function isCurrent(asset: Asset): boolean {
  const stamp = path.join(outputOf(asset), stampName);
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === digest(asset.inputs);
}

/** Builds beside the old output and takes its place (B1). */
export async function buildAsset(asset: Asset): Promise<void> {
  const output = outputOf(asset);
  const temporary = `${output}.new-${process.pid}`;
  const old = `${output}.old-${process.pid}`;
  const sources = digest(asset.inputs);
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true });
  try {
    await asset.build(temporary);
    writeFileSync(path.join(temporary, stampName), sources);
    if (existsSync(output)) renameSync(output, old);
    renameSync(temporary, output);
  } catch (error) {
    // Another process built the same thing at the same time and was quicker.
    if (!isCurrent(asset)) throw error;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
    rmSync(old, { recursive: true, force: true });
  }
}

/** SHA-256 over the names and contents of the inputs; tests and installed packages do not count. */
function digest(inputs: readonly string[]): string {
  const hash = createHash('sha256');
  for (const file of inputs.flatMap(filesOf).toSorted()) {
    hash
      .update(`${file}\0`)
      .update(readFileSync(path.join(root, file)))
      .update('\0');
  }
  return hash.digest('hex');
}

function filesOf(input: string): string[] {
  const full = path.join(root, input);
  if (!existsSync(full)) return [];
  if (statSync(full).isFile()) return [input];
  return readdirSync(full, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'node_modules' || entry.name.endsWith('.test.ts')) return [];
    return filesOf(path.join(input, entry.name));
  });
}
