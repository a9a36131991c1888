/** Commands for the server's own machine, which are not packed for others. */
import type { Command } from '../cli/command.ts';
import { backupCommand } from './backupCommand.ts';
import { restoreCommand } from './restoreCommand.ts';
import { serveCommand } from './serveCommand.ts';
import { simulateCommand } from './simulateCommand.ts';

export const checkoutCommands: readonly Command[] = [
  serveCommand,
  backupCommand,
  restoreCommand,
  simulateCommand,
];
