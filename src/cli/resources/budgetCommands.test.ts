/** `xim budgets`. */
import { after, before, test } from 'node:test';
import type { ApiKeyAnswer } from '../../api/control/apiKeys.ts';
import type { BudgetAnswer } from '../../api/control/budgets.ts';
import { systemClock } from '../../lib/clock.ts';
import {
  cliNow as now,
  openCliHarness,
  refusal,
  wholePage,
  type CliHarness,
} from '../../testing/processes/cliHarness.ts';
import { assertGolden } from '../../testing/golden.ts';
import { serverCommands } from '../commands.ts';

const here = '/api/v1/projects/default';
const keyId = 'key_00000000000000000000000001';
let cli: CliHarness;

before(async () => {
  cli = await openCliHarness(serverCommands, { ...systemClock, now: () => Date.parse(now) });
});
after(() => cli.close());

const budget: BudgetAnswer = {
  id: 'project',
  scope: 'project',
  api_key_id: null,
  api_key: null,
  amount: '25.000000',
  hard_stop: true,
  spent: '21.300450',
  used: 0.852,
  state: 'warning',
  warned_at: '2026-03-01T10:00:00.000Z',
  used_up_at: null,
  resets_at: '2026-04-01T00:00:00.000Z',
  version: 2,
};

const ofKey: BudgetAnswer = {
  ...budget,
  id: keyId,
  scope: 'api_key',
  api_key_id: keyId,
  api_key: 'ci',
  amount: '0.500000',
  hard_stop: false,
  spent: '0.500000',
  used: 1,
  state: 'used_up',
  used_up_at: '2026-03-01T11:00:00.000Z',
};

const key: ApiKeyAnswer = {
  id: keyId,
  name: 'ci',
  masked: 'xim_default_…c41e',
  scopes: ['inference'],
  endpoint_id: null,
  expires_at: null,
  ip_allow_list: [],
  quota: null,
  state: 'active',
  created_at: now,
  created_by: null,
  rotated_at: null,
  previous_valid_until: null,
  revoked_at: null,
  last_used_at: null,
  version: 1,
};

const none = refusal(404, 'not_found', 'There is no such budget');

test('a budget that loses its hard stop, or of which nobody is warned', async () => {
  const gone = { ...ofKey, api_key: null, state: 'stopped', hard_stop: true } as const;
  const zero = { ...gone, id: `${keyId.slice(0, -1)}2`, amount: '0.000000', used: null } as const;
  cli.answers({
    [`GET ${here}/api-keys`]: { body: wholePage([key]) },
    [`GET ${here}/budgets`]: { body: wholePage([budget, ofKey, gone, zero]) },
    [`GET ${here}/budgets/project`]: { body: budget },
    [`GET ${here}/budgets/${keyId}`]: none,
    [`PUT ${here}/budgets/project`]: { body: { ...budget, amount: '30.000000', version: 3 } },
    [`PUT ${here}/budgets/${keyId}`]: { body: ofKey },
    [`DELETE ${here}/budgets/project`]: { body: { id: 'project', deleted: true } },
    [`DELETE ${here}/budgets/${keyId}`]: none,
  });
  const lines = [
    'budgets list',
    'budgets show',
    'budgets show ci',
    'budgets show none',
    'budgets set --amount 30',
    'budgets set --no-hard-stop --if-version 2',
    'budgets set ci --amount 0.50',
    'budgets set ci --hard-stop',
    'budgets set',
    'budgets set --amount 1,50',
    'budgets remove',
    'budgets remove ci',
  ];
  const shown = await cli.transcript(lines);
  cli.answers({
    [`GET ${here}/budgets`]: { body: wholePage([]) },
    [`GET ${here}/budgets/project`]: refusal(403, 'insufficient_permissions', 'No'),
  });
  const refused = await cli.transcript(['budgets list', 'budgets set --amount 30']);
  assertGolden('cli/budgets.txt', `${shown}\n${refused}`);
});
