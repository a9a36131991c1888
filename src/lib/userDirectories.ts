/**
 * Where a user's data lies when nobody says otherwise: `$XDG_DATA_HOME`, or `~/.local/share`, as
 * the XDG base directory specification has it.
 */
import { homedir } from 'node:os';
import path from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

/** `~/.local/share/<name>`, absolute. A relative `XDG_DATA_HOME` is ignored, as specified. */
export function userDataDirectory(name: string, env: Environment): string {
  const base = env['XDG_DATA_HOME'] ?? '';
  return path.join(path.isAbsolute(base) ? base : path.join(homedir(), '.local', 'share'), name);
}
