/**
 * `xim` as it is packed for other machines (`/install/xim.tgz`): the agent and the commands that
 * talk to a server. The server itself runs from a checkout.
 */
import { commandTable } from './commandTable.ts';
import { runProcess } from './process/processContext.ts';

await runProcess(commandTable([]));
