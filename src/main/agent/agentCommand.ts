/** `xim agent`. The command itself is light: what it starts is loaded when it is called. */
import { defineCommand } from '../../cli/command.ts';
import { exitCodes } from '../../cli/exitCodes.ts';
import { agentConfigProblems, agentTable } from './agentConfig.ts';
import { knownVariables } from '../process/knownVariables.ts';

export const agentCommand = defineCommand({
  words: ['agent'],
  summary: 'Join this machine to a server and serve what it asks for',
  details: 'The join key is in XIM_JOIN_KEY; a restart needs neither key nor server.',
  options: agentTable,
  foreignEnv: knownVariables,
  async run(context, { options: config }) {
    const problems = agentConfigProblems(config);
    for (const problem of problems) context.terminal.note(`xim agent: ${problem}\n`);
    if (problems.length > 0) return exitCodes.usage;
    const { agentProcess } = await import('./agentProcess.ts');
    return agentProcess(context, config);
  },
});
