/** The agent as a process of its own, as the server starts it: `xim agent`, without the word. */
import { agentCommand } from './agent/agentCommand.ts';
import { runProcess } from './process/processContext.ts';

await runProcess([agentCommand], ['agent', ...process.argv.slice(2)]);
