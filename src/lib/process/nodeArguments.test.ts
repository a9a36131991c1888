/** What starts Node without importing the table. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { nodeArguments } from './nodeArguments.ts';

const root = path.join(import.meta.dirname, '..', '..', '..');

test('a way to start a server or an agent with other arguments of Node than ours', () => {
  const text = nodeArguments.join(' ');
  const { scripts } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  for (const name of ['start', 'xim']) assert.ok(scripts[name]?.includes(`node ${text} src/main/`));
  const launcher = readFileSync(path.join(root, 'bin', 'xim'), 'utf8');
  assert.ok(launcher.includes(`exec node ${text} "$0" "$@"`), 'the first lines of bin/xim');
  const quoted = nodeArguments.map((argument) => `'${argument}'`).join(', ');
  assert.ok(launcher.includes(`const node = [${quoted}];`), 'Node 24 behind bin/xim');
});
