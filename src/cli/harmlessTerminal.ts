/**
 * What commands say of a server: names, warnings and refusals hold words of the server, of other
 * people and of agents. None of them may move the cursor, colour the screen or reach the clipboard.
 */
import { harmlessText } from '../lib/text/harmlessText.ts';
import type { Command, Terminal } from './command.ts';

/** The same commands, whatever they are told to say. */
export function sayingNoHarm(commands: readonly Command[]): Command[] {
  return commands.map((command) => ({
    ...command,
    run: (context, input) =>
      command.run({ ...context, terminal: harmlessTerminal(context.terminal) }, input),
  }));
}

/** Notes are for people; what is piped into a file or a program goes there as it came. */
export function harmlessTerminal(terminal: Terminal): Terminal {
  const { screen } = terminal;
  return {
    screen,
    out: (text) => terminal.out(screen ? harmlessText(text) : text),
    note: (text) => terminal.note(harmlessText(text)),
    drained: () => terminal.drained(),
  };
}
