/**
 * What a user sees is golden: a text is compared with a file under `test/goldens/`, so that a
 * change of it is seen in a review. `XIM_UPDATE_GOLDENS=1` writes the files instead.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const folder = path.join(import.meta.dirname, '..', '..', 'test', 'goldens');

/** Asserts that `text` is what the golden file `name` holds. */
export function assertGolden(name: string, text: string): void {
  const file = path.join(folder, name);
  if (process.env['XIM_UPDATE_GOLDENS'] === '1') {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
    return;
  }
  assert.ok(existsSync(file), `${file} is missing; XIM_UPDATE_GOLDENS=1 writes it`);
  assert.equal(text, readFileSync(file, 'utf8'), `differs from ${file}`);
}
