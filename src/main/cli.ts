/**
 * `xim` in a checkout: every command. Those that start something load what they need only when they
 * are called, so that the others answer at once.
 */
import { checkoutCommands } from './checkoutCommands.ts';
import { commandTable } from './commandTable.ts';
import { runProcess } from './process/processContext.ts';

await runProcess(commandTable(checkoutCommands));
