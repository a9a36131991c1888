/** The contract of every handler of the control plane; a forgotten one does not compile. */
import type { Contract } from './contract.ts';
import { agentHealthContracts } from './control/agentHealth.ts';
import { agentContracts } from './control/agents.ts';
import { apiKeyContracts } from './control/apiKeys.ts';
import { auditContracts } from './control/audit.ts';
import { budgetContracts } from './control/budgets.ts';
import { endpointContracts } from './control/endpoints.ts';
import { joinKeyContracts } from './control/joinKeys.ts';
import { logContracts } from './control/logs.ts';
import { memberContracts } from './control/members.ts';
import { modelContracts } from './control/models.ts';
import { projectContracts } from './control/projects.ts';
import { regionContracts } from './control/regions.ts';
import { requestContracts } from './control/requests.ts';
import { sessionContracts } from './control/sessions.ts';
import { statusContracts } from './control/status.ts';
import { tierContracts } from './control/tiers.ts';
import { usageContracts } from './control/usage.ts';
import { userContracts } from './control/users.ts';
import type { HandlerOf } from './routes.ts';

export const contracts = {
  ...sessionContracts,
  ...statusContracts,
  ...userContracts,
  ...projectContracts,
  ...memberContracts,
  ...apiKeyContracts,
  ...endpointContracts,
  ...modelContracts,
  ...tierContracts,
  ...regionContracts,
  ...requestContracts,
  ...usageContracts,
  ...budgetContracts,
  ...agentContracts,
  ...agentHealthContracts,
  ...logContracts,
  ...joinKeyContracts,
  ...auditContracts,
} as const satisfies Readonly<Record<HandlerOf<'control'>, Contract>>;

export type ContractOf<Name extends HandlerOf<'control'>> = (typeof contracts)[Name];
