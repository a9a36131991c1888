/** `xim version`. */
import { defineCommand } from '../cli/command.ts';
import { exitCodes } from '../cli/exitCodes.ts';
import { version } from './process/version.ts';

export const versionCommand = defineCommand({
  words: ['version'],
  summary: 'Print the version',
  options: {},
  run({ terminal }) {
    terminal.out(`${version}\n`);
    return Promise.resolve(exitCodes.done);
  },
});
