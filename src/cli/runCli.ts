/**
 * Dispatch: finds the command with the longest match of words, reads its options from its table,
 * runs it. Help and refusals come from the table too.
 */
import { readConfig } from '../lib/config.ts';
import type { Command, CommandContext } from './command.ts';
import { exitCodes } from './exitCodes.ts';
import { commandHelp, commandsOf, listing, overview, topicHelp } from './helpText.ts';

/** Runs one command line (what stands after `xim`) and returns the exit code. */
export async function runCli(
  commands: readonly Command[],
  context: CommandContext,
  args: readonly string[],
): Promise<number> {
  const { terminal } = context;
  const words = leadingWords(args);
  if (words.length === 0 || words[0] === 'help') {
    return words.length > 0 || isHelp(args)
      ? help(commands, context, words.slice(1))
      : unknownCommand(commands, context, args);
  }
  const command = longestMatch(commands, words);
  if (command === undefined) {
    const asked = args.length > words.length && isHelp(args.slice(words.length));
    return asked ? help(commands, context, words) : unknownCommand(commands, context, words);
  }
  const rest = longFlags(args.slice(command.words.length));
  const { foreignEnv } = command;
  const slips = foreignEnv === undefined ? {} : { envPrefix: 'XIM_', foreignEnv };
  const outcome = readConfig(command.options, { args: rest, env: context.env, ...slips });
  if (outcome.kind === 'help') {
    terminal.out(commandHelp(command));
    return exitCodes.done;
  }
  const problems = [
    ...(outcome.kind === 'invalid' ? outcome.problems : operandProblems(command, outcome)),
  ];
  if (outcome.kind === 'invalid' || problems.length > 0) {
    const name = command.words.join(' ');
    for (const problem of problems) terminal.note(`xim ${name}: ${problem}\n`);
    terminal.note(`Help: xim ${name} --help\n`);
    return exitCodes.usage;
  }
  for (const warning of outcome.warnings) terminal.note(`xim: ${warning}\n`);
  return command.run(context, { options: outcome.config, operands: outcome.positionals });
}

/** The words of a command stand before any flag. */
function leadingWords(args: readonly string[]): string[] {
  const end = args.findIndex((argument) => argument.startsWith('-'));
  return end === -1 ? [...args] : args.slice(0, end);
}

const isHelp = (args: readonly string[]): boolean =>
  args.every((argument) => argument === '--help' || argument === '-h');

/** What people type: `-o json`, `logs -f`. */
const shorts: ReadonlyMap<string, string> = new Map([
  ['-o', '--output'],
  ['-f', '--follow'],
]);

function longFlags(args: readonly string[]): string[] {
  return args.map((argument) => shorts.get(argument) ?? argument);
}

function longestMatch(commands: readonly Command[], words: readonly string[]): Command | undefined {
  return commands
    .filter((command) => command.words.every((word, at) => words[at] === word))
    .toSorted((a, b) => b.words.length - a.words.length)[0];
}

function operandProblems(
  command: Command,
  { positionals }: { positionals: readonly string[] },
): string[] {
  const all = command.operands ?? [];
  const wanted = all.filter((name) => !name.startsWith('['));
  if (positionals.length < wanted.length) {
    return [`${wanted.slice(positionals.length).join(', ')} is missing`];
  }
  // Ids and names are never empty: an unset variable of a script must not mean all of them.
  if (positionals.some((text) => text === '')) return ['an empty word is not expected here'];
  return positionals.length <= all.length
    ? []
    : [`"${positionals[all.length]}" is not expected here`];
}

function help(
  commands: readonly Command[],
  context: CommandContext,
  words: readonly string[],
): number {
  const { terminal } = context;
  const [first] = words;
  if (first === undefined) {
    terminal.out(overview(commands));
    return exitCodes.done;
  }
  const command = longestMatch(commands, words);
  if (command !== undefined) terminal.out(commandHelp(command));
  else if (commandsOf(commands, first).length === 0) {
    return unknownCommand(commands, context, words);
  } else terminal.out(topicHelp(commands, first));
  return exitCodes.done;
}

function unknownCommand(
  commands: readonly Command[],
  { terminal }: CommandContext,
  words: readonly string[],
): number {
  const [first = '', second] = words;
  const topic = commandsOf(commands, first);
  if (topic.length > 0) {
    const said = second === undefined ? 'say what to do' : `"${second}" is not one of its commands`;
    terminal.note(`xim ${first}: ${said}:\n${listing(topic)}`);
  } else {
    const known = [...new Set(commands.map((command) => command.words[0]))].join(', ');
    terminal.note(`xim: "${first}" is no command. They are: ${known}.\nHelp: xim --help\n`);
  }
  return exitCodes.usage;
}
