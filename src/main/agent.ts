/** The agent as a process of its own, as the server starts it: `xim agent`, without the word. */
import { agentCommand } from './agentCommand.ts';
import { runProcess } from './processContext.ts';

await runProcess([agentCommand], ['agent', ...process.argv.slice(2)]);
