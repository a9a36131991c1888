/** Every variable below `XIM_` that some part of the product or its tests reads. */
import { projectOptions } from '../../cli/serverContext.ts';
import { agentTable } from '../agent/agentConfig.ts';
import { serveTable } from '../server/serveConfig.ts';

export const knownVariables: readonly string[] = [
  ...[serveTable, agentTable, projectOptions]
    .flatMap((table) => Object.values(table))
    .flatMap((row) => ('env' in row ? [row.env] : [])),
  'XIM_HOME',
  'XIM_TEST_CACHE',
  'XIM_UPDATE_GOLDENS',
];
