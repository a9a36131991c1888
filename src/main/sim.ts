/** `npm run sim -- …`: the same as `xim simulate …`. */
import { runProcess } from './process/processContext.ts';
import { simulateCommand } from './simulateCommand.ts';

await runProcess([simulateCommand], ['simulate', ...process.argv.slice(2)]);
