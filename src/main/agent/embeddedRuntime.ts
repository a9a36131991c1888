/**
 * Where the embedded engine's `node-llama-cpp` comes from. A checkout has it; the packed agent does
 * not, because it is native and large, and installs it the first time that it is asked for: the one
 * thing for which joining a machine needs a package registry.
 *
 * Invariants
 * N1 An installation appears by rename, whole or not at all.
 * N2 npm ends with this process, and what an ended one left half-done is removed by the next.
 */
import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as llama from 'node-llama-cpp';
import manifest from '../../../package.json' with { type: 'json' };
import type { AgentEvent } from '../../agent/agentEvent.ts';
import { makeDirectory } from '../../lib/files/makeDirectory.ts';
import { startTied } from '../../lib/process/tiedProcess.ts';

type Llama = typeof llama;

const packageName = 'node-llama-cpp';
const packageVersion = manifest.dependencies[packageName];
const reportIntervalMs = 2_000;
const keptOutputCharacters = 4_000;

/** The way on for a machine that cannot install it. */
const advice =
  'Install npm (it comes with Node) and see that a registry is reachable, ' +
  'or attach an engine that ' +
  'runs already with --engine-url URL.';

export interface LoaderOptions {
  directory: string;
  onEvent: (event: AgentEvent) => void;
  /** Aborted when nobody wants the library any more: npm is ended then. */
  stopped: AbortSignal;
}

/**
 * Loads the library, and installs it below `directory` where it is not there yet. Rejects with a
 * sentence that says how to go on.
 */
export function llamaLoader(options: LoaderOptions): () => Promise<Llama> {
  return async () => {
    const beside = await besideUs();
    if (beside !== undefined) return beside;
    const home = path.join(options.directory, `${packageName}-${packageVersion}`);
    if (!existsSync(home)) await install(home, options);
    const entry = path.join(home, 'node_modules', packageName, 'dist', 'index.js');
    return (await import(pathToFileURL(entry).href)) as Llama;
  };
}

/** From our own `node_modules`; undefined when it is not there. */
async function besideUs(): Promise<Llama | undefined> {
  try {
    return await import('node-llama-cpp');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

async function install(home: string, { onEvent, stopped }: LoaderOptions): Promise<void> {
  const name = `${packageName} ${packageVersion}`;
  const message = `installing the embedded engine (${name}) with npm, once`;
  onEvent({ kind: 'note', message });
  removeLeftovers(home);
  const temporary = `${home}.new-${process.pid}`;
  makeDirectory(temporary, 0o700);
  try {
    const wanted = {
      private: true,
      dependencies: { [packageName]: packageVersion },
      // Without the packages for GPUs, which are hundreds of megabytes each.
      overrides: manifest.overrides,
    };
    writeFileSync(path.join(temporary, 'package.json'), JSON.stringify(wanted));
    const report = setInterval(() => {
      const receivedBytes = sizeOf(temporary);
      const unknown = { totalBytes: null, bytesPerSecond: null };
      onEvent({ kind: 'fetching', model: name, receivedBytes, ...unknown });
    }, reportIntervalMs);
    try {
      await runNpm(temporary, stopped);
    } finally {
      clearInterval(report);
    }
    renameSync(temporary, home);
  } catch (error) {
    // Another agent of this machine may have installed it meanwhile.
    if (!existsSync(home)) throw error;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** N2: half an installation whose process has gone. */
function removeLeftovers(home: string): void {
  const parent = path.dirname(home);
  if (!existsSync(parent)) return;
  const prefix = `${path.basename(home)}.new-`;
  for (const name of readdirSync(parent)) {
    const pid = name.startsWith(prefix) ? Number(name.slice(prefix.length)) : 0;
    if (pid > 0 && !existsSync(`/proc/${pid}`)) {
      rmSync(path.join(parent, name), { recursive: true, force: true });
    }
  }
}

function runNpm(directory: string, stopped: AbortSignal): Promise<void> {
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error', '--fetch-retries=1'];
  const flags = ['--ignore-scripts', '--omit=dev', ...quiet];
  const args = ['install', '--prefix', directory, ...flags];
  return new Promise((resolve, reject) => {
    const { child, end } = startTied('npm', args, { cwd: directory });
    stopped.addEventListener('abort', end, { once: true });
    if (stopped.aborted) end();
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-keptOutputCharacters);
    });
    const fail = (why: string): void => {
      reject(new Error(`The embedded engine could not be installed: ${why} ${advice}`));
    };
    child.on('error', ({ message }) => fail(`npm cannot be started (${message}).`));
    child.on('close', (code) => {
      stopped.removeEventListener('abort', end);
      if (code === 0) resolve();
      else if (code === 127) fail('npm is not on the PATH.');
      else fail(`npm ended with code ${code}: ${reasonIn(said)}.`);
    });
  });
}

/** What npm says of an error, without its prefixes and the place of its log. */
function reasonIn(said: string): string {
  const lines = said
    .split('\n')
    .map((line) => line.replace(/^npm (error|ERR!) ?/, '').trim())
    .filter((line) => line !== '' && !/complete log of this run/.test(line));
  return lines.slice(0, 3).join('; ');
}

/** Bytes below a directory that is being written. */
function sizeOf(directory: string): number {
  let bytes = 0;
  try {
    for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
      if (entry.isFile()) bytes += statSync(path.join(entry.parentPath, entry.name)).size;
    }
  } catch {
    // npm moves things while we look; the next look sees them.
  }
  return bytes;
}
