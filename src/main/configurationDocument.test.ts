import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { configurationDocument } from './configurationDocument.ts';

const root = path.join(import.meta.dirname, '..', '..');
const file = path.join(root, 'docs', 'operating', 'configuration.md');

/** The formatter pads the cells of tables. */
const unpadded = (text: string): string => text.replaceAll(/ +/g, ' ').replaceAll(/-{3,}/g, '---');

test('a page of settings that the programs do not read, or that lacks one', () => {
  const text = configurationDocument();
  if (process.env['XIM_UPDATE_GOLDENS'] === '1') writeFileSync(file, text);
  assert.equal(unpadded(readFileSync(file, 'utf8')), unpadded(text));
});
