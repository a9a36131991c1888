/** `docs/operating/configuration.md`, made of the tables that the programs read. */
import { projectOptions } from '../cli/serverContext.ts';
import { configMarkdown } from '../lib/configText.ts';
import { agentTable } from './agent/agentConfig.ts';
import { serveTable } from './server/serveConfig.ts';

/** The page's text. */
export function configurationDocument(): string {
  return `# Configuration

A flag wins over the environment, the environment over the default. A switch is turned off by
\`--no-…\` or by \`0\` in its variable. Times are written \`500ms\`, \`30s\`, \`15m\`,
\`2h\`, \`7d\`;
sizes \`64KiB\`, \`16MiB\`, \`200GB\`. A flag that is not in the table is refused; a variable that
begins with \`XIM_\` and is in no table is pointed out.

This page is made from the tables in \`src/main/server/serveConfig.ts\`,
\`src/main/agent/agentConfig.ts\` and \`src/cli/serverContext.ts\`;
\`XIM_UPDATE_GOLDENS=1 npm test -- src/main/configurationDocument.test.ts\`
writes it again.

## The server: \`npm start\`, \`xim serve\`

${configMarkdown(serveTable)}
## The agent: \`xim agent\`, the pasted line

${configMarkdown(agentTable)}
## Commands that talk to a server

${configMarkdown(projectOptions)}
## Read from elsewhere

| Variable | Meaning |
| --- | --- |
| \`HF_ENDPOINT\` | Base URL of the model hub instead of \`https://huggingface.co\`. |
| \`XIM_HOME\` | Directory of an installed agent: versions, state, models. |
| \`XDG_DATA_HOME\` | Base of the default directories instead of \`~/.local/share\`. |
| \`XDG_CONFIG_HOME\` | Base of the contexts (\`xim login\`) instead of \`~/.config\`. |
`;
}
