/** A secret that the operator keeps in a file: its first line, without the line's end. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { StartupError } from './startupError.ts';

/** Throws a `StartupError` when the file cannot be read or is empty. */
export function readSecretFile(file: string): string {
  let text: string;
  try {
    text = readFileSync(path.resolve(file), 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new StartupError('usage', `${file} cannot be read (${code}).`);
  }
  const [line = ''] = text.split(/\r?\n/);
  if (line === '') throw new StartupError('usage', `${file} is empty.`);
  return line;
}
