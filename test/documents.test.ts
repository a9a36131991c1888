/** What the documents point at: other pages, headings in them, files of the source. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

const root = path.join(import.meta.dirname, '..');
const documents = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.md'], {
  cwd: root,
  encoding: 'utf8',
})
  .trim()
  .split('\n');
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

/** As GitHub makes them of headings. */
function anchorsOf(markdown: string): Set<string> {
  const headings = markdown.replaceAll(/^```[^]*?^```$/gm, '').matchAll(/^#+ (.*)$/gm);
  return new Set(
    [...headings].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

function isDeadLink(from: string, target: string): boolean {
  if (/^[a-z]+:/.test(target)) return false;
  const [file = '', anchor] = target.split('#');
  const there = path.normalize(file === '' ? from : path.join(path.dirname(from), file));
  if (!existsSync(path.join(root, there))) return true;
  return anchor !== undefined && !anchorsOf(read(there)).has(anchor);
}

test('a link to a page or a heading that is not there', () => {
  const dead = documents.flatMap((from) => {
    const prose = read(from).replaceAll(/^ *```[^]*?^ *```$/gm, '');
    const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
    return links.filter((target) => isDeadLink(from, target)).map((to) => `${from}: ${to}`);
  });
  assert.deepEqual(dead, []);
});

test('a guide to which the README does not lead', () => {
  const readme = read('README.md');
  const guides = readdirSync(path.join(root, 'docs', 'operating'));
  assert.deepEqual(
    guides.filter((name) => !readme.includes(`(docs/operating/${name})`)),
    [],
  );
});

test('a sentence of the source document that is said to be done where nothing is', () => {
  const table = read('docs/internals/source-document.md');
  const named = [...table.matchAll(/`([^`\s]+\.(?:md|tsx?))`/g)].map(([, file = '']) => file);
  assert.ok(named.length > 150, `only ${named.length} files are named`);
  const folders = ['', 'src', path.join('docs', 'operating')];
  const missing = named.filter(
    (file) => !folders.some((folder) => existsSync(path.join(root, folder, file))),
  );
  assert.deepEqual([...new Set(missing)], []);
});
