/** Node 20.18.1 itself, because a promise to run on it is worth what a test of it is. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { minimumNode } from '../../api/installScript.ts';
import { testCache } from './processes.ts';
import type { SystemBinary } from './systemBinary.ts';

/** The oldest Node that the agent must run on, from its npm package, kept between runs. */
export function oldNode(): SystemBinary {
  const directory = path.join(testCache, `node-${minimumNode}`);
  const file = path.join(directory, 'package', 'bin', 'node');
  if (existsSync(file)) return { kind: 'found', path: file };
  const temporary = `${directory}.${process.pid}`;
  mkdirSync(temporary, { recursive: true });
  try {
    const wanted = `node-linux-${process.arch}@${minimumNode}`;
    execFileSync('npm', ['pack', wanted, '--silent'], { cwd: temporary, stdio: 'pipe' });
    const [archive = ''] = readdirSync(temporary);
    execFileSync('tar', ['-xzf', archive], { cwd: temporary, stdio: 'pipe' });
    rmSync(path.join(temporary, archive));
    renameSync(temporary, directory);
  } catch (error) {
    if (!existsSync(file))
      return { kind: 'missing', reason: `no Node ${minimumNode}: ${(error as Error).message}` };
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  return { kind: 'found', path: file };
}
