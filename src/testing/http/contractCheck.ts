/**
 * Holds every answer of a control route that passes a test's hands to its contract: schema, status
 * and refusal. Throws where the server says something that `openapi.json` does not.
 */
import assert from 'node:assert/strict';
import { refusalsOf } from '../../api/commonRefusals.ts';
import type { Contract } from '../../api/contract.ts';
import { contracts } from '../../api/contracts.ts';
import { errorTable } from '../../api/errors.ts';
import { routes, type HandlerOf } from '../../api/routes.ts';
import { createRouteMatcher } from '../../http/exchanges/routeMatcher.ts';

const matcher = createRouteMatcher(routes);

export function checkContract(call: {
  method: string;
  target: string;
  status: number;
  json: unknown;
}): void {
  const { method, target, status, json } = call;
  const match = matcher.match(method, target.split('?')[0] ?? '');
  if (match.kind !== 'found' || match.route.plane !== 'control') return;
  const { route } = match;
  const contract: Contract = contracts[route.handler as HandlerOf<'control'>];
  const where = `${method} ${route.path} answered ${status} ${JSON.stringify(json)}`;
  if (status >= 400) {
    const { code } = (json as { error: { code: string | null } }).error;
    const known = refusalsOf(route, contract).some(
      (name) => errorTable[name].status === status && errorTable[name].code === code,
    );
    assert.ok(known, `${where}, which its contract does not name`);
    return;
  }
  assert.equal(status, contract.status, where);
  if ('media' in contract.answer || 'redirect' in contract.answer) return;
  if (contract.stream !== undefined && json === undefined) return;
  const parsed = contract.answer.safeParse(json);
  assert.ok(parsed.success, `${where}: ${parsed.error?.message}`);
}
