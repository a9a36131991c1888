/**
 * Ratchets: what a review should not have to say twice. File and function lengths are lint rules
 * (`.oxlintrc.json`); the rest is here. Loosen a number only together with a reason in the commit.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

const root = path.join(import.meta.dirname, '..');
const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], { cwd: root })
  .toString()
  .split('\0')
  .filter((file) => file !== '');
const files = [...new Set(listed)].filter((file) => /\.(ts|tsx|css|md|json|sh)$/.test(file));
const sources = files.filter((file) => /\.tsx?$/.test(file));
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

const longestLine = 100;
const rootDocuments = [
  'ARCHITECTURE.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'README.md',
  'STYLE.md',
];
/** Names that say nothing about what is inside. */
const emptyNames = /^(index|utils?|types?|helpers?|common|misc)\.tsx?$/;

test('a source line too long to read beside another file', () => {
  const long = sources.flatMap((file) =>
    read(file)
      .split('\n')
      .flatMap((line, at) => (line.length > longestLine ? [`${file}:${at + 1}`] : [])),
  );
  assert.deepEqual(long, []);
});

test('a file whose name says nothing, or a barrel', () => {
  const vague = sources.filter((file) => emptyNames.test(path.basename(file)));
  assert.deepEqual(vague, []);
});

test('a folder nested deeper than two levels below src', () => {
  const deep = sources.filter((file) => file.startsWith('src/') && file.split('/').length > 4);
  assert.deepEqual(deep, []);
});

test('a sixth document at the root, or one of the five missing', () => {
  const present = files.filter((file) => /^[^/]+\.md$/.test(file)).toSorted();
  assert.deepEqual(present, rootDocuments);
});

test('a lockfile that names the address of a registry', () => {
  const lock = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, { resolved?: string; link?: boolean; integrity?: string }>;
  };
  const addressed = Object.entries(lock.packages).filter(
    ([, entry]) => entry.resolved !== undefined && entry.link !== true,
  );
  assert.deepEqual(addressed, []);
  const unchecked = Object.entries(lock.packages).filter(
    ([name, entry]) =>
      name.includes('node_modules/') && entry.link !== true && entry.integrity === undefined,
  );
  assert.deepEqual(unchecked, []);
});

test('a dependency without an exact version, or without its paragraph', () => {
  const notes = read('docs/dependencies.md');
  for (const manifest of ['package.json', 'dashboard/package.json']) {
    const parsed = JSON.parse(read(manifest)) as Record<string, Record<string, string>>;
    for (const kind of ['dependencies', 'devDependencies', 'optionalDependencies']) {
      for (const [name, version] of Object.entries(parsed[kind] ?? {})) {
        assert.match(
          version,
          /^(npm:[a-z@/-]+@)?\d+\.\d+\.\d+$/,
          `${manifest}: ${name} is not pinned`,
        );
        assert.ok(notes.includes(`\`${name}\``), `docs/dependencies.md says nothing of ${name}`);
      }
    }
  }
});

test('work left unfinished in the tree', () => {
  const marks = new RegExp(['TO', 'DO|FIX', 'ME|XX', 'X:'].join(''));
  const unfinished = sources.filter((file) => marks.test(read(file)));
  assert.deepEqual(unfinished, []);
});

test('a test that runs alone or not at all', () => {
  const narrowed = sources.filter(
    (file) => file.endsWith('.test.ts') && /\b(test|it|describe)\.(only|todo)\(/.test(read(file)),
  );
  assert.deepEqual(narrowed, []);
});
