/** The whole of `xim`: its overview, and shells that really complete its command lines. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { bashScript } from '../cli/completion/bashScript.ts';
import { completionTable } from '../cli/completion/completionTable.ts';
import { fishScript } from '../cli/completion/fishScript.ts';
import { zshScript } from '../cli/completion/zshScript.ts';
import { overview } from '../cli/helpText.ts';
import { topicGroups } from '../cli/topics.ts';
import { assertGolden } from '../testing/golden.ts';
import { systemBinary } from '../testing/processes/systemBinary.ts';
import { checkoutCommands } from './checkoutCommands.ts';
import { commandTable } from './commandTable.ts';

const commands = commandTable(checkoutCommands);
const places = completionTable(commands);
let directory: string;

before(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'xim-completion-'));
  writeFileSync(path.join(directory, 'bash'), bashScript(places));
  writeFileSync(path.join(directory, 'zsh'), zshScript(places));
  writeFileSync(path.join(directory, 'fish'), fishScript(places));
  writeFileSync(path.join(directory, 'afile'), '');
});
after(() => rmSync(directory, { recursive: true }));

test('a command that the overview does not show', () => {
  const topics = Object.values(topicGroups).flatMap((group) => group.map(({ word }) => word));
  const words = [...new Set(commands.map(({ words: [first = ''] }) => first))];
  assert.deepEqual(words.toSorted(), topics.toSorted());
  assertGolden('cli/overview.txt', overview(commands));
});

test('two commands with one name, or one that begins with another', () => {
  const names = commands.map(({ words }) => words.join(' '));
  const clashes = names.filter((name, at) =>
    names.some((other, where) => at !== where && `${other} `.startsWith(`${name} `)),
  );
  assert.deepEqual(clashes, []);
});

test('the scripts of shells that change unseen', () => {
  const few = completionTable(commands.filter(({ words }) => words[0] === 'tiers'));
  const scripts = [bashScript, zshScript, fishScript].map((script) => script(few));
  assertGolden('cli/completion.txt', scripts.join('\n'));
});

/** What is completed at the end of each of these lines. */
const cases: [line: string, expected: readonly string[]][] = [
  ['xim ke', ['keys']],
  ['xim keys r', ['revoke', 'rotate']],
  ['xim join-keys ', ['create', 'list', 'revoke', 'show']],
  ['xim keys set laptop --tokens', ['--tokens-per-day', '--tokens-per-minute']],
  ['xim projects set x --no-', ['--no-shared-access']],
  ['xim keys list --output ', ['json', 'table']],
  ['xim keys list -o t', ['table']],
  ['xim members add ada@example.org --role o', ['owner']],
  ['xim login --pin x --ke', ['--key']],
  ['xim completion ', ['bash', 'fish', 'zsh']],
  ['xim nonsense ', []],
];

test('a line that bash does not complete', (t) => {
  const bash = systemBinary({ names: ['bash'], debianPackage: 'bash' });
  if (bash.kind === 'missing') return t.skip(bash.reason);
  const complete = (line: string): string[] => {
    const script =
      'source "$1"; eval "COMP_WORDS=($2)"; [[ $2 == *" " ]] && COMP_WORDS+=("")\n' +
      'COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _xim; printf "%s\\n" "${COMPREPLY[@]}"';
    const file = path.join(directory, 'bash');
    const { stdout, stderr } = spawnSync(bash.path, ['--norc', '-c', script, '-', file, line], {
      encoding: 'utf8',
    });
    assert.equal(stderr, '', line);
    return stdout
      .split('\n')
      .filter((word) => word !== '')
      .toSorted();
  };
  for (const [line, expected] of cases) assert.deepEqual(complete(line), expected, line);
  assert.deepEqual(complete('xim keys list --output = j'), ['json']);
  assert.deepEqual(complete('xim keys list --output ='), ['json', 'table']);
  assert.equal(complete('xim ').length, new Set(commands.map(({ words }) => words[0])).size);
  assert.deepEqual(complete('xim backup afi'), [], 'bash itself completes files');
});

test('a line that fish does not complete', (t) => {
  const fish = systemBinary({ names: ['fish'], debianPackage: 'fish' });
  if (fish.kind === 'missing') return t.skip(fish.reason);
  for (const [line, expected] of cases.slice(0, -1)) {
    assert.deepEqual(completedByFish(fish.path, line), expected, line);
  }
});

function completedByFish(fish: string, line: string): string[] {
  const script = `source ${path.join(directory, 'fish')}; complete -C '${line}'`;
  const { stdout } = spawnSync(fish, ['--no-config', '-c', script], { encoding: 'utf8' });
  return stdout
    .split('\n')
    .map((row) => row.split('\t')[0] ?? '')
    .filter((word) => word !== '')
    .toSorted();
}

test('a line that zsh does not complete', (t) => {
  const zsh = systemBinary({ names: ['zsh'], debianPackage: 'zsh' });
  if (zsh.kind === 'missing') return t.skip(zsh.reason);
  for (const [line, expected] of cases.filter((one) => one[1].length === 1)) {
    assert.equal(completedByZsh(zsh.path, line), `${line.replace(/\S*$/, '')}${expected[0]}`, line);
  }
});

/** The line after the tab key, on a terminal of its own. */
function completedByZsh(zsh: string, line: string): string {
  const script = `
    zmodload zsh/zpty
    zpty shell ${zsh} -f -i
    zpty -w shell 'PS1=; PS2=; autoload -Uz compinit; compinit -u -d ${directory}/dump'
    zpty -w shell 'source ${path.join(directory, 'zsh')}'
    zpty -w shell 'show() { print -r -- "<<$BUFFER>>"; zle kill-buffer; }'
    zpty -w shell 'zle -N show; bindkey "^X" show'
    zpty -w shell 'print ready-$((1 + 1))'
    zpty -r shell seen '*ready-2*'
    zpty -n -w shell ${JSON.stringify(line)}$'\\t\\x18'
    zpty -r shell seen '*>>*'
    print -r -- "$seen"
    zpty -d shell`;
  const { stdout } = spawnSync(zsh, ['-f', '-c', script], { encoding: 'utf8', timeout: 30_000 });
  return /<<([^]*?)>>/.exec(stdout)?.[1]?.trim() ?? stdout;
}
