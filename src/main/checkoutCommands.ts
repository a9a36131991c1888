/** Commands for the server's own machine, which are not packed for others. */
import type { Command } from '../cli/command.ts';
import { backupCommand } from './backup/backupCommand.ts';
import { restoreCommand } from './backup/restoreCommand.ts';
import { serveCommand } from './server/serveCommand.ts';
import { simulateCommand } from './simulateCommand.ts';

export const checkoutCommands: readonly Command[] = [
  serveCommand,
  backupCommand,
  restoreCommand,
  simulateCommand,
];
