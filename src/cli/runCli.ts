/**
 * Dispatch: finds the command with the longest match of words, reads its options from its table,
 * runs it. Help and refusals come from the table too.
 */
import { readConfig } from '../lib/config.ts';
import { configHelp } from '../lib/configText.ts';
import type { Command, CommandContext } from './command.ts';
import { exitCodes } from './exitCodes.ts';

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
  if (command === undefined) return unknownCommand(commands, context, words);
  const rest = shortFlags(args.slice(command.words.length));
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

/** `-o json` is what people type for `--output json`. */
function shortFlags(args: readonly string[]): string[] {
  return args.map((argument) => (argument === '-o' ? '--output' : argument));
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
  const wanted = command.operands ?? [];
  if (positionals.length === wanted.length) return [];
  if (positionals.length < wanted.length) {
    return [`${wanted.slice(positionals.length).join(', ')} is missing`];
  }
  return [`"${positionals[wanted.length]}" is not expected here`];
}

function help(
  commands: readonly Command[],
  { terminal }: CommandContext,
  words: readonly string[],
): number {
  const command = words.length === 0 ? undefined : longestMatch(commands, words);
  if (command !== undefined) terminal.out(commandHelp(command));
  else terminal.out(overview(commands));
  return exitCodes.done;
}

function unknownCommand(
  commands: readonly Command[],
  { terminal }: CommandContext,
  words: readonly string[],
): number {
  const group = commands.filter((command) => command.words[0] === words[0]);
  if (group.length > 0) {
    terminal.note(`xim ${words[0]}: say what to do:\n${listing(group)}`);
  } else {
    terminal.note(`xim: "${words[0]}" is no command. They are:\n${listing(commands)}`);
  }
  return exitCodes.usage;
}

function listing(commands: readonly Command[]): string {
  const lines = commands.map((command) => ({
    name: ['xim', ...command.words, ...(command.operands ?? [])].join(' '),
    summary: command.summary,
  }));
  const width = Math.max(...lines.map(({ name }) => name.length)) + 3;
  return lines.map(({ name, summary }) => `  ${name.padEnd(width)}${summary}\n`).join('');
}

function overview(commands: readonly Command[]): string {
  return `XIM: one OpenAI-compatible address in front of your own machines and shared agents.

${listing(commands)}
xim COMMAND --help shows the options of one.
`;
}

function commandHelp(command: Command): string {
  const usage = ['xim', ...command.words, ...(command.operands ?? []), '[options]'].join(' ');
  const { details } = command;
  const summary = `${command.summary}.${details === undefined ? '' : ` ${details}`}`;
  return configHelp(command.options, { usage, summary });
}
