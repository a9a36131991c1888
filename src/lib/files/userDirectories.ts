/**
 * Where a user's data and settings lie when nobody says otherwise, as the XDG base directory
 * specification has it.
 */
import { homedir } from 'node:os';
import path from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

/** `$XDG_DATA_HOME/<name>`, or `~/.local/share/<name>`; absolute. */
export function userDataDirectory(name: string, env: Environment): string {
  return path.join(base(env['XDG_DATA_HOME']) ?? path.join(homedir(), '.local', 'share'), name);
}

/** `$XDG_CONFIG_HOME/<name>`, or `~/.config/<name>`; absolute. */
export function userConfigDirectory(name: string, env: Environment): string {
  return path.join(base(env['XDG_CONFIG_HOME']) ?? path.join(homedir(), '.config'), name);
}

/** A relative one is ignored, as specified. */
function base(given: string | undefined): string | undefined {
  return given !== undefined && path.isAbsolute(given) ? given : undefined;
}
