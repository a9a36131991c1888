/** `xim backup FILE`: copies the embedded database, also while its server runs. */
import { defineCommand } from '../../cli/command.ts';
import { serverOptions } from '../../cli/serverContext.ts';
import { defineConfig } from '../../lib/config.ts';
import { serveTable } from '../server/serveConfig.ts';

const { dataDir, databaseUrl } = serveTable;
const { output } = serverOptions;

const options = defineConfig({
  force: {
    type: 'switch',
    flag: 'force',
    default: false,
    help: 'Take the place of a file that is there.',
    group: 'The backup',
  },
  dataDir,
  databaseUrl,
  output,
});

export const backupCommand = defineCommand({
  words: ['backup'],
  summary: 'Copy the embedded database to a file, also while its server runs',
  details:
    'Run it on the server’s machine, as its user. Key files are no part of the backup: it says ' +
    'which ones to keep too.',
  options,
  operands: ['FILE'],
  async run(context, { options: given, operands: [file = ''] }) {
    const { backUp } = await import('./backUp.ts');
    return backUp({ context, file, options: given });
  },
});
