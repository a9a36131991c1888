/** `xim restore FILE`: puts a backup in the place of the embedded database. */
import { defineCommand } from '../../cli/command.ts';
import { serverOptions } from '../../cli/serverContext.ts';
import { defineConfig } from '../../lib/config.ts';
import { serveTable } from '../server/serveConfig.ts';

const { dataDir, databaseUrl } = serveTable;
const { output } = serverOptions;

export const restoreCommand = defineCommand({
  words: ['restore'],
  summary: 'Put a backup in the place of the embedded database of a stopped server',
  details: 'The backup is checked first. The old database stays beside it under another name.',
  options: defineConfig({ dataDir, databaseUrl, output }),
  operands: ['FILE'],
  async run(context, { options: given, operands: [file = ''] }) {
    const { restore } = await import('./restore.ts');
    return restore({ context, file, options: given });
  },
});
