/** What can follow at each place of a command line, made from the table of commands. */
import type { ConfigRow } from '../../lib/config.ts';
import type { Command } from '../command.ts';
import { topicGroups } from '../topics.ts';

/** A word and what it is about. */
export type Described = readonly [word: string, about: string];

export interface Place {
  /** Words after `xim`; empty at the beginning. */
  path: string;
  /** A command with options, which operands may follow; else a topic with commands. */
  command: boolean;
  next: readonly Described[];
  flags: readonly Described[];
  /** What a flag may be given, by flag. */
  values: ReadonlyMap<string, readonly string[]>;
  /** Flags that need a value. */
  valued: readonly string[];
}

export function completionTable(commands: readonly Command[]): Place[] {
  const topics = [...new Set(commands.map(({ words }) => words[0] ?? ''))];
  const start = topics.map((word) => [word, aboutOf(commands, word)] as const);
  const places = topics.flatMap((word) => {
    const own = commands.filter(({ words }) => words[0] === word && words.length > 1);
    if (own.length === 0) return [];
    const next = own.map(({ words, summary }) => [words[1] ?? '', summary] as const);
    return [topicPlace(word, next)];
  });
  return [topicPlace('', start), ...places, ...commands.map(commandPlace)];
}

function aboutOf(commands: readonly Command[], word: string): string {
  const topic = Object.values(topicGroups)
    .flat()
    .find((one) => one.word === word);
  return topic?.about ?? commands.find(({ words }) => words[0] === word)?.summary ?? '';
}

function topicPlace(path: string, next: readonly Described[]): Place {
  return { path, command: false, next, flags: [], values: new Map(), valued: [] };
}

function commandPlace({ words, options }: Command): Place {
  const rows = Object.values(options).flatMap((row) =>
    row.flag === undefined ? [] : [{ ...row, flag: `--${row.flag}` }],
  );
  const choices = rows.flatMap(({ flag, ...row }) =>
    row.type === 'choice' ? [[flag, row.choices] as const] : [],
  );
  return {
    path: words.join(' '),
    command: true,
    next: [],
    flags: [...rows.flatMap((row) => flagsOf(row)), ['--help', 'Show the options of this command']],
    values: new Map(choices),
    valued: rows.filter(({ type }) => type !== 'switch').map(({ flag }) => flag),
  };
}

/** A switch that may be on already can be turned off. */
function flagsOf({ flag, help, ...row }: ConfigRow & { flag: string }): Described[] {
  const [first = ''] = help.split(/(?<=\.) /);
  const about = first.replace(/\.$/, '');
  if (row.type !== 'switch' || row.default === false) return [[flag, about]];
  return [
    [flag, about],
    [flag.replace('--', '--no-'), about],
  ];
}
