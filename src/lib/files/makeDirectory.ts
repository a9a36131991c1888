/**
 * `mkdir -p` that ends. Node's own (`recursive: true`) goes round for ever where a directory is
 * there and the system still says ENOENT of what should be made in it, as in /proc.
 */
import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';

/**
 * Makes a directory, and those above it that are missing, with `mode`. One that is there stays as
 * it is. Throws the system's error: EEXIST where a file, or a link that leads nowhere, has the
 * name.
 */
export function makeDirectory(directory: string, mode: number): void {
  const wanted = path.resolve(directory);
  if (makeOne(wanted, mode) === 'made') return;
  makeDirectory(path.dirname(wanted), mode);
  // What is above is there now: a second ENOENT is the file system's last word.
  if (makeOne(wanted, mode) !== 'made') mkdirSync(wanted, { mode });
}

/** Throws for everything but a directory above it that is missing. */
function makeOne(directory: string, mode: number): 'made' | 'no_parent' {
  try {
    mkdirSync(directory, { mode });
    return 'made';
  } catch (error) {
    if (isDirectory(directory)) return 'made';
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && !isDirectory(path.dirname(directory))) return 'no_parent';
    throw error;
  }
}

function isDirectory(name: string): boolean {
  return statSync(name, { throwIfNoEntry: false })?.isDirectory() === true;
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'the file system is read-only',
  ENOTDIR: 'a part of the path is a file',
  EEXIST: 'it is a file, or a link that leads nowhere',
  ENOENT: 'nothing can be made there',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'its links lead in a circle',
  ENOSPC: 'the disk is full',
  EDQUOT: 'this user’s share of the disk is used up',
};

/** Why a directory cannot be used, as the end of a sentence without its full stop. */
export function directoryProblem(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return (code === undefined ? undefined : reasons[code]) ?? code ?? message;
}
