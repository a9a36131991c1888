/** The commands that talk to a server over HTTP. `main/` adds those that start something. */
import { chaos } from './chaos/chaosCommand.ts';
import { chat } from './chat/chat.ts';
import type { Command } from './command.ts';
import { sayingNoHarm } from './harmlessTerminal.ts';
import { agentCommands } from './resources/agentCommands.ts';
import { auditCommands } from './resources/auditCommands.ts';
import { budgetCommands } from './resources/budgetCommands.ts';
import { endpointCommands } from './resources/endpointCommands.ts';
import { joinKeyCommands } from './resources/joinKeyCommands.ts';
import { joinKeyCreate } from './resources/joinKeyCreate.ts';
import { keyCommands } from './resources/keyCommands.ts';
import { modelCommands } from './resources/modelCommands.ts';
import { peopleCommands } from './resources/peopleCommands.ts';
import { projectCommands } from './resources/projectCommands.ts';
import { receiptExport } from './resources/receiptCommands.ts';
import { regionCommands } from './resources/regionCommands.ts';
import { requestCommands } from './resources/requestCommands.ts';
import { status } from './resources/status.ts';
import { tierCommands } from './resources/tierCommands.ts';
import { usage } from './resources/usage.ts';
import { accountCommands } from './session/accountCommands.ts';
import { contextCommands } from './session/contextCommands.ts';
import { login } from './session/login.ts';

export const serverCommands: readonly Command[] = sayingNoHarm([
  login,
  ...contextCommands,
  ...accountCommands,
  status,
  chat,
  ...requestCommands,
  receiptExport,
  usage,
  ...budgetCommands,
  ...endpointCommands,
  ...modelCommands,
  ...tierCommands,
  ...regionCommands,
  ...agentCommands,
  joinKeyCreate,
  ...joinKeyCommands,
  ...projectCommands,
  ...keyCommands,
  ...peopleCommands,
  ...auditCommands,
  chaos,
]);
