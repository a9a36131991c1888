/**
 * Packs the agent and the CLI into `xim.tgz`: one JavaScript file with every dependency inside,
 * which runs on Node ≥ 20.18.1, so that a machine needs no registry to join. The embedded engine's
 * `node-llama-cpp` alone stays outside (it is native): the agent installs it where it is asked for.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { rolldown } from 'rolldown';
import { nodeArguments } from '../src/lib/process/nodeArguments.ts';
import { tarball } from './tarball.ts';
import type { PackedFile } from './tarball.ts';

const root = path.join(import.meta.dirname, '..');

/** Stay outside the bundle: native, or optional accelerators that `ws` does without. */
const external = ['node-llama-cpp', 'bufferutil', 'utf-8-validate'];

/** A shell reads its first line and starts Node with our arguments; to Node that is a string. */
const launcher = `#!/bin/sh
":" //; exec node ${nodeArguments.join(' ')} "$0" "$@"
import '../dist/xim.mjs';
`;

/** Writes `xim.tgz` and `xim.json` (version, sha256, bytes) into `directory`. */
export async function packAgent(directory: string): Promise<void> {
  const { code, moduleIds } = await bundle();
  const { version } = manifest();
  const files: PackedFile[] = [
    text('package/package.json', `${JSON.stringify(packageJson(version), null, 2)}\n`),
    { ...text('package/bin/xim', launcher), mode: 0o755 },
    text('package/dist/xim.mjs', code),
    text('package/LICENSE-THIRD-PARTY.txt', licences(moduleIds)),
  ];
  const bytes = tarball(files);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  mkdirSync(directory, { recursive: true });
  writeFileSync(path.join(directory, 'xim.tgz'), bytes);
  const facts = { version, sha256, bytes: bytes.length };
  writeFileSync(path.join(directory, 'xim.json'), `${JSON.stringify(facts)}\n`);
}

function manifest(): { version: string; license: string; engines: { node: string } } {
  return JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as never;
}

function packageJson(version: string): Record<string, unknown> {
  const { license, engines } = manifest();
  return {
    name: 'xim-agent',
    version,
    description: 'The XIM agent and command line, with their dependencies inside.',
    license,
    type: 'module',
    bin: { xim: 'bin/xim' },
    engines,
  };
}

const text = (name: string, content: string): PackedFile => ({
  name,
  data: Buffer.from(content),
  mode: 0o644,
});

async function bundle(): Promise<{ code: string; moduleIds: string[] }> {
  const build = await rolldown({
    cwd: root,
    input: path.join(root, 'src', 'main', 'packedCli.ts'),
    platform: 'node',
    external,
    transform: { target: 'node20.18' },
    onLog(level, log) {
      if (level === 'warn') throw new Error(`packing: ${log.code ?? ''} ${log.message}`);
    },
  });
  const { output } = await build.generate({
    format: 'esm',
    codeSplitting: false,
    comments: { legal: false },
    // What is bundled from CommonJS asks for built-in modules by `require`.
    banner:
      "import { createRequire as __createRequire } from 'node:module';\n" +
      'const require = __createRequire(import.meta.url);\n',
  });
  await build.close();
  const [chunk, ...others] = output;
  if (others.length > 0) throw new Error(`packing: ${others.length} files too many`);
  return { code: chunk.code, moduleIds: chunk.moduleIds };
}

/** The licence texts of every package that went into the bundle. */
function licences(moduleIds: readonly string[]): string {
  const packages = new Set(
    moduleIds.flatMap((id) => {
      const found = /^\0?(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id)?.[1];
      return found === undefined ? [] : [found];
    }),
  );
  return [...packages].toSorted().map(licenceOf).join('\n');
}

function licenceOf(directory: string): string {
  const file = path.join(directory, 'package.json');
  const { name, version, license } = JSON.parse(readFileSync(file, 'utf8')) as Record<
    string,
    string
  >;
  const texts = readdirSync(directory).filter((entry) => /^(licen[cs]e|notice)/i.test(entry));
  const body = texts
    .map((entry) => path.join(directory, entry))
    .filter((entry) => existsSync(entry));
  const words = body.map((entry) => readFileSync(entry, 'utf8')).join('\n');
  return `${'='.repeat(72)}\n${name} ${version} (${license})\n\n${words}\n`;
}
