/**
 * `--tenants SPEC`: tenants with arrivals of their own, whose lengths are drawn from a trace.
 * `5@2,1@120:300-900` is five tenants at 2 requests/s and one at 120/s from 300 to 900 s. Arrivals
 * are Poisson; prefixes are not drawn.
 */
import { randomInt, type Random } from '../../lib/random.ts';
import { maxRequests, maxTenants, tenantsAfterWindowS, tenantsDurationS } from '../limits.ts';
import { exponential } from './draws.ts';
import type { TraceRequest } from './traceRequest.ts';

export interface TenantGroup {
  tenants: number;
  /** Requests/s of each. */
  rate: number;
  /** When they send, in s; null: for the whole run. */
  window: { fromS: number; toS: number } | null;
}

export type TenantsOutcome =
  | { kind: 'tenants'; groups: TenantGroup[] }
  | { kind: 'bad_tenants'; problem: string };

const partPattern = /^(\d+)@(\d+(?:\.\d+)?)(?::(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?))?$/;

export function parseTenants(spec: string): TenantsOutcome {
  const groups: TenantGroup[] = [];
  for (const part of spec.split(',')) {
    const [, count, rate, from, to] = partPattern.exec(part.trim()) ?? [];
    if (count === undefined || Number(count) === 0 || Number(rate) === 0) {
      return bad(
        `"${part}" is not allowed; give tenants@rate or tenants@rate:from-to, ` +
          'e.g. 5@2,1@120:300-900',
      );
    }
    const window = from === undefined ? null : { fromS: Number(from), toS: Number(to) };
    if (window !== null && window.toS <= window.fromS) {
      return bad(`"${part}" is not allowed; its window has to end after its start`);
    }
    groups.push({ tenants: Number(count), rate: Number(rate), window });
  }
  const tenants = groups.reduce((sum, group) => sum + group.tenants, 0);
  if (tenants > maxTenants) return bad(`give at most ${maxTenants} tenants`);
  const offered = groups.reduce((sum, group) => sum + expectedRequests(group, groups), 0);
  if (offered > maxRequests) return bad(`these are more than ${maxRequests} requests`);
  return { kind: 'tenants', groups };
}

function bad(problem: string): TenantsOutcome {
  return { kind: 'bad_tenants', problem };
}

function expectedRequests(group: TenantGroup, groups: readonly TenantGroup[]): number {
  const { fromS, toS } = group.window ?? { fromS: 0, toS: durationS(groups) };
  return group.tenants * group.rate * (toS - fromS);
}

/** How long arrivals go on. */
export function durationS(groups: readonly TenantGroup[]): number {
  const ends = groups.flatMap(({ window }) => (window === null ? [] : [window.toS]));
  return ends.length === 0 ? tenantsDurationS : Math.max(...ends) + tenantsAfterWindowS;
}

/** The requests of the run, in order. Tenants are `t1`, `t2` and so on, in the spec's order. */
export function drawTenants(
  groups: readonly TenantGroup[],
  from: { lengths: readonly TraceRequest[]; random: Random },
): TraceRequest[] {
  const { lengths, random } = from;
  const whole = { fromS: 0, toS: durationS(groups) };
  const requests: TraceRequest[] = [];
  let tenant = 0;
  for (const { tenants, rate, window } of groups) {
    const { fromS, toS } = window ?? whole;
    for (let one = 0; one < tenants; one += 1) {
      tenant += 1;
      let atS = fromS + exponential(random) / rate;
      for (; atS < toS; atS += exponential(random) / rate) {
        const drawn = lengths[randomInt(random, lengths.length)] as TraceRequest;
        const { inputTokens, outputTokens } = drawn;
        requests.push({
          atMs: atS * 1_000,
          tenant: `t${tenant}`,
          inputTokens,
          outputTokens,
          blocks: [],
        });
      }
    }
  }
  return requests.toSorted((one, other) => one.atMs - other.atMs);
}
