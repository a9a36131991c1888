/** What `xim`, `xim GROUP` and `xim COMMAND --help` say, made from the table of commands. */
import { configHelp } from '../lib/configText.ts';
import type { Command } from './command.ts';
import { topicGroups } from './topics.ts';

/** Every topic that has a command, by group. */
export function overview(commands: readonly Command[]): string {
  const groups = Object.entries(topicGroups).map(([group, topics]) => {
    const lines = topics.flatMap(({ word, about }) => {
      const own = commandsOf(commands, word);
      const [first] = own;
      if (first === undefined) return [];
      const verbs = own.flatMap((command) => command.words.slice(1, 2));
      const list = [...new Set(verbs)].join(', ');
      return [[word, about === undefined ? first.summary : `${about}: ${list}`] as const];
    });
    return { group, lines };
  });
  const shown = groups.filter(({ lines }) => lines.length > 0);
  const width = Math.max(...shown.flatMap(({ lines }) => lines.map(([word]) => word.length))) + 3;
  const parts = shown.map(({ group, lines }) => {
    const rows = lines.map(([word, text]) => `  ${word.padEnd(width)}${text}\n`);
    return `${group}:\n${rows.join('')}`;
  });
  return `XIM: one OpenAI-compatible address in front of your own machines and shared agents.

Usage: xim COMMAND [options]

${parts.join('\n')}
xim COMMAND --help shows the options of one.
`;
}

/** The commands that begin with a word. */
export function commandsOf(commands: readonly Command[], word: string): Command[] {
  return commands.filter((command) => command.words[0] === word);
}

/** One line a command. */
export function listing(commands: readonly Command[]): string {
  const lines = commands.map((command) => ({
    name: ['xim', ...command.words, ...(command.operands ?? [])].join(' '),
    summary: command.summary,
  }));
  const width = Math.max(...lines.map(({ name }) => name.length)) + 3;
  return lines.map(({ name, summary }) => `  ${name.padEnd(width)}${summary}\n`).join('');
}

/** The commands of one topic. */
export function topicHelp(commands: readonly Command[], word: string): string {
  const about = Object.values(topicGroups)
    .flat()
    .find((topic) => topic.word === word)?.about;
  return `${about ?? word}:\n\n${listing(commandsOf(commands, word))}
xim ${word} COMMAND --help shows the options of one.
`;
}

export function commandHelp(command: Command): string {
  const usage = ['xim', ...command.words, ...(command.operands ?? []), '[options]'].join(' ');
  const { details } = command;
  const summary = `${command.summary}.${details === undefined ? '' : ` ${details}`}`;
  return configHelp(command.options, { usage, summary });
}
