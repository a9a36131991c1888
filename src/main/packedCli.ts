/**
 * `xim` as it is packed for other machines (`/install/xim.tgz`): the agent and the commands that
 * talk to a server. The server itself runs from a checkout.
 */
import { serverCommands } from '../cli/commands.ts';
import { agentCommand } from './agentCommand.ts';
import { runProcess } from './processContext.ts';
import { versionCommand } from './versionCommand.ts';

await runProcess([agentCommand, ...serverCommands, versionCommand]);
