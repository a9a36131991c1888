/**
 * A disk that can be filled: a file system in memory of a few bytes, so that what fails is the
 * system's own write and not a double of it.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export interface SmallDisk {
  kind: 'mounted';
  /** Fills it, but for this many bytes. */
  fill(options: { leaveBytes: number }): void;
  /** Takes back what filled it. */
  makeRoom(): void;
  remove(): void;
}

const ballastName = 'ballast';

/** Mounts one at `directory`, which is made. */
export function mountSmallDisk(
  directory: string,
  options: { bytes: number },
): SmallDisk | { kind: 'missing'; reason: string } {
  if (process.getuid?.() !== 0) return { kind: 'missing', reason: 'a disk of its own needs root' };
  mkdirSync(directory, { recursive: true });
  const flags = ['-t', 'tmpfs', '-o', `size=${options.bytes},mode=0700`, 'tmpfs', directory];
  const mounted = spawnSync('mount', flags, { encoding: 'utf8' });
  if (mounted.status !== 0) {
    return { kind: 'missing', reason: `no disk of its own: ${mounted.stderr}` };
  }
  const ballast = path.join(directory, ballastName);
  const makeRoom = (): void => rmSync(ballast, { force: true });
  return {
    kind: 'mounted',
    fill({ leaveBytes }) {
      makeRoom();
      const { bavail, bsize } = statfsSync(directory);
      try {
        writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - leaveBytes)));
      } catch (error) {
        // Somebody wrote meanwhile: it is as full as it can be.
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      }
    },
    makeRoom,
    remove: () => void spawnSync('umount', ['--lazy', directory]),
  };
}
