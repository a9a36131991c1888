/** The agent as a process of its own, as the server starts it: `xim agent`, without the word. */
import { keepCompiled } from './keepCompiled.ts';

keepCompiled();
const { agentCommand } = await import('./agentCommand.ts');
const { runProcess } = await import('./processContext.ts');
await runProcess([agentCommand], ['agent', ...process.argv.slice(2)]);
