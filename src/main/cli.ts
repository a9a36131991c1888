/**
 * `xim` in a checkout: every command. Those that start something load what they need only when they
 * are called, so that the others answer at once.
 */
import { serverCommands } from '../cli/commands.ts';
import { agentCommand } from './agentCommand.ts';
import { backupCommand } from './backupCommand.ts';
import { runProcess } from './processContext.ts';
import { restoreCommand } from './restoreCommand.ts';
import { serveCommand } from './serveCommand.ts';
import { versionCommand } from './versionCommand.ts';

await runProcess([
  serveCommand,
  agentCommand,
  ...serverCommands,
  backupCommand,
  restoreCommand,
  versionCommand,
]);
