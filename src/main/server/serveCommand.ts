/**
 * `xim serve`: one process with router, control plane and dashboard, and beside it the shared agent
 * of this machine. The command itself is light: what it starts is loaded when it is called.
 */
import { defineCommand } from '../../cli/command.ts';
import { exitCodes } from '../../cli/exitCodes.ts';
import { knownVariables } from '../process/knownVariables.ts';
import { serveConfigProblems, serveTable } from './serveConfig.ts';

export const serveCommand = defineCommand({
  words: ['serve'],
  summary: 'Start a server with a first model on this machine',
  details: 'The first start fetches a small model and prints address and keys.',
  options: serveTable,
  foreignEnv: knownVariables,
  async run(context, { options: config }) {
    const { tiersFrom } = await import('./tierOverrides.ts');
    const tiers = tiersFrom(config.tiers);
    const problems = [
      ...serveConfigProblems(config),
      ...(tiers.kind === 'invalid' ? [tiers.problem] : []),
    ];
    for (const problem of problems) context.terminal.note(`xim serve: ${problem}\n`);
    if (tiers.kind === 'invalid' || problems.length > 0) return exitCodes.usage;
    const { serve } = await import('./serveProcess.ts');
    return serve({ context, config, tiers: tiers.tiers });
  },
});
