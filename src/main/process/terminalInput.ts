/** Standard input of a command: questions to a person, or the lines that are piped in. */
import { fstatSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Dialogue, DialogueLine, TerminalInput } from '../../cli/command.ts';

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
  const lines = pipedLines();
  return {
    interactive,
    close: () => lines.close(),
    line(question, { secret = false } = {}) {
      if (!interactive) return lines.next();
      return secret ? hiddenLine(question) : askedLine(question);
    },
    get piped() {
      return isPiped();
    },
    async rest() {
      const all: string[] = [];
      for (;;) {
        const line = await lines.next();
        if (line === undefined) return all.join('\n');
        all.push(line);
      }
    },
    dialogue: terminalDialogue,
  };
}

/** A shell's pipe or file; a program that starts us may leave a socket open and never end it. */
function isPiped(): boolean {
  try {
    const stat = fstatSync(0);
    return stat.isFIFO() || stat.isFile();
  } catch {
    return false;
  }
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

/**
 * One reader for the whole of it: what is typed or pasted while an answer comes is the next line,
 * and earlier lines come back with the arrow keys. It reads keys one by one, so that ^C reaches it
 * as a key and not the process as a signal.
 */
function terminalDialogue(): Dialogue {
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  const waiting: string[] = [];
  let ended = false;
  let wake: ((line: DialogueLine) => void) | undefined;
  let interrupt: (() => void) | undefined;
  const tell = (line: DialogueLine): void => {
    const told = wake;
    wake = undefined;
    told?.(line);
  };
  reader.on('line', (text) => {
    if (wake === undefined) waiting.push(text);
    else tell({ kind: 'line', text });
  });
  reader.on('close', () => {
    ended = true;
    tell({ kind: 'ended' });
  });
  reader.on('SIGINT', () => {
    if (interrupt !== undefined) return interrupt();
    process.stderr.write('\n');
    // What was typed so far is dropped, as in a shell.
    reader.write(null, { ctrl: true, name: 'e' });
    reader.write(null, { ctrl: true, name: 'u' });
    tell({ kind: 'interrupted' });
  });
  return {
    next(prompt) {
      const text = waiting.shift();
      if (text !== undefined) return Promise.resolve({ kind: 'line', text });
      if (ended) return Promise.resolve({ kind: 'ended' });
      return new Promise((resolve) => {
        wake = resolve;
        reader.setPrompt(prompt);
        reader.prompt(true);
      });
    },
    interruption() {
      const stop = new AbortController();
      interrupt = () => stop.abort();
      return { signal: stop.signal, done: () => (interrupt = undefined) };
    },
    close: () => reader.close(),
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
