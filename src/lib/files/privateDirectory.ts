/**
 * A directory for secrets and other things of one program: made 0700, and closed to others when it
 * is found open. Only one that is empty or the program's own already is closed: `--data-dir /tmp`
 * must not lock a machine out of /tmp.
 */
import { chmodSync, readdirSync, statSync } from 'node:fs';
import { makeDirectory } from './makeDirectory.ts';

export type PrivateDirectoryOutcome =
  /** Nobody else can look into it. */
  | 'private'
  /** Another user's, which only that one can close. It may be of use all the same. */
  | 'of_another'
  /** It can be read by others and holds what is theirs; it was left as it is. */
  | 'holds_others';

/**
 * Makes the directory where it is missing and closes it where that takes nothing from anybody:
 * where it is empty or holds a file with a name in `signs`. Throws the system's error.
 */
export function openPrivateDirectory(options: {
  directory: string;
  signs: readonly string[];
}): PrivateDirectoryOutcome {
  const { directory, signs } = options;
  makeDirectory(directory, 0o700);
  const { mode, uid } = statSync(directory);
  if ((mode & 0o077) === 0) return 'private';
  if (uid !== process.getuid?.()) return 'of_another';
  // What a fresh file system holds by itself is nobody's.
  const inside = readdirSync(directory).filter((name) => name !== 'lost+found');
  if (inside.length > 0 && !signs.some((name) => inside.includes(name))) return 'holds_others';
  chmodSync(directory, 0o700);
  return 'private';
}
