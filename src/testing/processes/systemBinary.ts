/**
 * Finds a program of the system for a test, and brings it where that is possible: a test either
 * runs with the real thing or skips with the reason printed.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readdirSync } from 'node:fs';
import path from 'node:path';

export type SystemBinary = { kind: 'found'; path: string } | { kind: 'missing'; reason: string };

/** How long one installation may take, in ms. */
const installTimeoutMs = 240_000;

function executable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Folders outside PATH where Debian keeps some programs. */
function extraFolders(): string[] {
  const postgres = '/usr/lib/postgresql';
  let versions: string[] = [];
  try {
    versions = readdirSync(postgres).toSorted((a, b) => Number(b) - Number(a));
  } catch {
    // Not installed: there is nothing to add.
  }
  return ['/usr/sbin', '/sbin', ...versions.map((version) => path.join(postgres, version, 'bin'))];
}

function find(names: readonly string[]): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(':'), ...extraFolders()];
  return names
    .flatMap((name) => folders.map((folder) => path.join(folder, name)))
    .find((file) => executable(file));
}

function install(debianPackage: string): string | undefined {
  if (process.getuid?.() !== 0) return 'not root, so it cannot be installed';
  if (find(['apt-get']) === undefined) return 'there is no apt-get to install it with';
  const options = { timeout: installTimeoutMs, encoding: 'utf8' as const };
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync('apt-get', ['update', '-qq'], { ...options, env: environment });
  const { status, stderr } = spawnSync(
    'apt-get',
    ['install', '-y', '-qq', '--no-install-recommends', debianPackage],
    { ...options, env: environment },
  );
  return status === 0 ? undefined : `apt-get could not install it: ${stderr.slice(-300)}`;
}

/**
 * The first of `names` on the system; installs `debianPackage` when there is none and we are root.
 * Two test files that ask at once wait for each other through apt's own lock.
 */
export function systemBinary(options: {
  names: readonly string[];
  debianPackage: string;
}): SystemBinary {
  const present = find(options.names);
  if (present !== undefined) return { kind: 'found', path: present };
  const failure = install(options.debianPackage);
  const installed = find(options.names);
  if (installed !== undefined) return { kind: 'found', path: installed };
  return {
    kind: 'missing',
    reason: `no ${options.names.join(' or ')} here; ${failure ?? 'installing it gave none'}`,
  };
}
