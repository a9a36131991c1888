/**
 * Keeps compiled sources under `build/`, so that a second start strips no types and parses nothing.
 * Where that folder cannot be written, everything is compiled anew, as without it.
 */
import { enableCompileCache } from 'node:module';
import path from 'node:path';

/** Call it before the modules that it is meant for are imported. */
export function keepCompiled(): void {
  enableCompileCache(path.join(import.meta.dirname, '..', '..', 'build', 'compiled'));
}
