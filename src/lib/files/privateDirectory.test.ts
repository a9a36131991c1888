import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { statSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { directoryProblem, makeDirectory } from './makeDirectory.ts';
import { openPrivateDirectory } from './privateDirectory.ts';

const base = mkdtempSync(path.join(os.tmpdir(), 'xim-directory-'));
after(() => rmSync(base, { recursive: true }));

const modeOf = (directory: string): number => statSync(directory).mode & 0o777;

function problemOf(directory: string): string {
  try {
    makeDirectory(directory, 0o700);
  } catch (error) {
    return directoryProblem(error);
  }
  return assert.fail(`${directory} was made`);
}

test('a directory that cannot be made is tried for ever, or told as a code', () => {
  assert.equal(problemOf('/proc/x'), 'nothing can be made there');
  assert.equal(problemOf('/proc/x/y/z'), 'nothing can be made there');
  writeFileSync(path.join(base, 'file'), '');
  assert.match(problemOf(path.join(base, 'file')), /^it is a file/);
  assert.equal(problemOf(path.join(base, 'file', 'x', 'y')), 'a part of the path is a file');
  symlinkSync(path.join(base, 'nowhere'), path.join(base, 'lost'));
  assert.match(problemOf(path.join(base, 'lost')), /a link that leads nowhere$/);
  assert.match(problemOf(path.join(base, 'lost', 'x')), /a link that leads nowhere$/);
  symlinkSync(path.join(base, 'circle'), path.join(base, 'circle'));
  assert.equal(problemOf(path.join(base, 'circle', 'x')), 'its links lead in a circle');
  assert.equal(problemOf(path.join(base, 'x'.repeat(300))), 'the name is too long');
});

test('a directory above it is left open, or one that is there is changed', () => {
  const deep = path.join(base, 'a', 'b', 'c');
  makeDirectory(deep, 0o700);
  assert.deepEqual([modeOf(path.join(base, 'a')), modeOf(deep)], [0o700, 0o700]);
  chmodSync(deep, 0o755);
  makeDirectory(deep, 0o700);
  assert.equal(modeOf(deep), 0o755);
  symlinkSync(deep, path.join(base, 'link'));
  makeDirectory(path.join(base, 'link', 'd'), 0o700);
  assert.deepEqual(readdirSync(deep), ['d']);
});

test('a directory with other things is closed to those who use it', () => {
  const directory = path.join(base, 'shared');
  mkdirSync(directory);
  chmodSync(directory, 0o755);
  writeFileSync(path.join(directory, 'theirs'), '');
  assert.equal(openPrivateDirectory({ directory, signs: ['ours'] }), 'holds_others');
  assert.equal(modeOf(directory), 0o755);
  writeFileSync(path.join(directory, 'ours'), '');
  assert.equal(openPrivateDirectory({ directory, signs: ['ours'] }), 'private');
  assert.equal(modeOf(directory), 0o700);
  const disk = path.join(base, 'disk');
  mkdirSync(path.join(disk, 'lost+found'), { recursive: true });
  assert.equal(openPrivateDirectory({ directory: disk, signs: [] }), 'private');
});

test('another user’s directory is taken for our own', (t) => {
  if (process.getuid?.() !== 0) return t.skip('making one needs root');
  const directory = path.join(base, 'another');
  mkdirSync(directory);
  chmodSync(directory, 0o755);
  chownSync(directory, 65534, 65534);
  assert.equal(openPrivateDirectory({ directory, signs: [] }), 'of_another');
  assert.equal(modeOf(directory), 0o755);
});
