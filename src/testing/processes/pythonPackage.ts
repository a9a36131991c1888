/**
 * A package of PyPI in a Python environment of its own below `build/`. Where there is no Python, or
 * it cannot be brought, a proof skips with the reason.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { repository } from './processes.ts';

const installTimeoutMs = 240_000;

export type PythonPackage =
  | { kind: 'found'; /** Its programs. */ folder: string }
  | { kind: 'missing'; reason: string };

/** Brings it once; later calls find it. */
export function pythonPackage(name: string, version: string): PythonPackage {
  const home = path.join(repository, 'build', `${name}-${version}`);
  const folder = path.join(home, 'bin');
  // Written when everything is installed: a half-made environment is made anew.
  const finished = path.join(home, 'finished');
  if (existsSync(finished)) return { kind: 'found', folder };
  mkdirSync(path.dirname(home), { recursive: true });
  const steps: [string, string[]][] = [
    ['python3', ['-m', 'venv', '--clear', home]],
    [path.join(folder, 'pip'), ['install', '-q', `${name}==${version}`]],
  ];
  for (const [command, args] of steps) {
    const options = { encoding: 'utf8', timeout: installTimeoutMs } as const;
    const { status, error, stderr } = spawnSync(command, args, options);
    if (status === 0) continue;
    const why = (error?.message ?? stderr ?? '').trim().split('\n').at(-1) ?? '';
    const step = path.basename(command);
    return {
      kind: 'missing',
      reason: `${name} cannot be installed: ${step}: ${why.slice(0, 200)}`,
    };
  }
  writeFileSync(finished, version);
  return { kind: 'found', folder };
}
