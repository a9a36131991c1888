/** The commands that talk to a server over HTTP. `main/` adds those that start something. */
import { agentsList } from './agentsList.ts';
import type { Command } from './command.ts';
import { joinKeysCreate } from './joinKeysCreate.ts';
import { joinKeysList } from './joinKeysList.ts';
import { joinKeysRevoke } from './joinKeysRevoke.ts';
import { keyCommands } from './resources/keyCommands.ts';
import { peopleCommands } from './resources/peopleCommands.ts';
import { projectCommands } from './resources/projectCommands.ts';
import { requestsList } from './requestsList.ts';
import { contextCommands } from './session/contextCommands.ts';
import { login } from './session/login.ts';
import { status } from './status.ts';

export const serverCommands: readonly Command[] = [
  login,
  ...contextCommands,
  status,
  agentsList,
  joinKeysCreate,
  joinKeysList,
  joinKeysRevoke,
  requestsList,
  ...projectCommands,
  ...keyCommands,
  ...peopleCommands,
];
