/** Standard input as a message: a secret on its first line, or the life of the parent process. */
import net from 'node:net';
import { createInterface } from 'node:readline';

/** The first line, without its end; empty when there is none. */
export async function firstLineOfStdin(): Promise<string> {
  const lines = createInterface({ input: process.stdin });
  for await (const line of lines) {
    lines.close();
    // What follows is nobody's: an open pipe would keep the process alive.
    process.stdin.destroy();
    return line.trim();
  }
  return '';
}

/** Calls back once when standard input ends, as it does when the process that holds it is gone. */
export function closeOfStdin(closed: () => void): void {
  process.stdin.on('error', closed);
  process.stdin.once('close', closed);
  process.stdin.resume();
  // Watching it keeps nothing alive: an agent that has ended may go.
  if (process.stdin instanceof net.Socket) process.stdin.unref();
}
