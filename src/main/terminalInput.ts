/** Standard input of a command: questions to a person, or the lines that are piped in. */
import { createInterface } from 'node:readline';
import type { TerminalInput } from '../cli/command.ts';

const [endOfText, endOfInput, backspace, deleteKey, eraseLine] = [
  '\u0003',
  '\u0004',
  '\b',
  '\u007f',
  '\u0015',
];

export interface ProcessInput extends TerminalInput {
  /** The command is over: an open pipe must not keep the process. */
  close(): void;
}

/** Of this process. Questions go to standard error, so that output can be piped. */
export function terminalInput(): ProcessInput {
  const interactive = process.stdin.isTTY && process.stderr.isTTY;
  const piped = pipedLines();
  return {
    interactive,
    close: () => piped.close(),
    line(question, { secret = false } = {}) {
      if (!interactive) return piped.next();
      return secret ? hiddenLine(question) : askedLine(question);
    },
  };
}

/** What is piped in, a line a call. Nothing is read before it is asked for. */
function pipedLines(): { next(): Promise<string | undefined>; close(): void } {
  let lines: AsyncIterator<string> | undefined;
  return {
    async next() {
      lines ??= createInterface({ input: process.stdin })[Symbol.asyncIterator]();
      const { value, done } = await lines.next();
      return done === true ? undefined : value;
    },
    close() {
      if (lines !== undefined) process.stdin.destroy();
    },
  };
}

function askedLine(question: string): Promise<string | undefined> {
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  return new Promise((resolve) => {
    reader.once('close', () => resolve(undefined));
    reader.once('SIGINT', () => {
      reader.close();
      process.kill(process.pid, 'SIGINT');
    });
    reader.question(question, (line) => {
      resolve(line);
      reader.close();
    });
  });
}

/** Typed without being shown. ^C ends the program, as it does elsewhere. */
function hiddenLine(question: string): Promise<string | undefined> {
  const { stdin, stderr } = process;
  // First the silence: who types at once must not be shown either.
  stdin.setRawMode(true).setEncoding('utf8').resume();
  stderr.write(question);
  return new Promise((resolve) => {
    const typed: string[] = [];
    const end = (line: string | undefined): void => {
      stdin.off('data', onData).setRawMode(false).pause();
      stderr.write('\n');
      resolve(line);
    };
    const onData = (text: string): void => {
      for (const key of text) {
        if (key === '\r' || key === '\n') return end(typed.join(''));
        if (key === endOfText) {
          end(undefined);
          return void process.kill(process.pid, 'SIGINT');
        }
        if (key === endOfInput && typed.length === 0) return end(undefined);
        if (key === eraseLine) typed.length = 0;
        else if (key === backspace || key === deleteKey) typed.pop();
        else typed.push(key);
      }
    };
    stdin.on('data', onData);
  });
}
