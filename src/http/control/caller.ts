/**
 * Who calls a control route, and whether a change comes from a page of ours.
 *
 * A key in `Authorization` decides alone; only without one the session's cookie is looked at. A
 * cookie is sent by the browser whatever page asks, so a change that it authenticates, and a
 * sign-in, must come from our own origin and be JSON, which no form of another site can send:
 *
 * - `Sec-Fetch-Site`, which pages cannot forge, must say `same-origin` where it is sent;
 * - otherwise `Origin` must be one of the server's own names (`knownHosts.ts`);
 * - neither: refused. Programs use a key.
 */
import type { Access } from '../../api/routes/access.ts';
import type { ErrorName } from '../../api/errors.ts';
import type { Control } from '../../control/control.ts';
import type { Caller, Principal } from '../../control/principal.ts';
import type { ApiKeyAuth } from '../data/apiKeyAuth.ts';
import type { KnownHosts } from '../addresses/knownHosts.ts';
import type { ControlContext } from './controlContext.ts';
import { readSessionCookie } from '../people/sessionCookie.ts';

export type KnownCaller =
  | { ok: true; caller: Caller; sessionToken: string | undefined }
  | { ok: false; name: ErrorName; message: string };

interface Planes {
  control: Pick<Control, 'session'>;
  auth: ApiKeyAuth;
}

const changeFirst = 'You signed in with a one-time password. Change it first.';
const notSignedIn = 'Sign in first, or send a key of scope management.';
const noKey =
  'This takes a person who has signed in; an API key was sent, and a key manages its own project ' +
  'alone, whatever its scope.';

/** The caller of a route that is open to `access`. */
export async function callerOf(
  context: ControlContext,
  planes: Planes,
  access: Access,
): Promise<KnownCaller> {
  const { requestId, address } = context.env.exchange;
  const known = (principal: Principal, sessionToken?: string): KnownCaller => ({
    ok: true,
    caller: { principal, requestId, address, claim: null },
    sessionToken,
  });
  if (access.by === 'anyone') return known({ kind: 'anonymous' });
  const authorization = context.req.header('authorization');
  const keyOnly = access.by === 'api_key';
  if (keyOnly || (authorization !== undefined && access.by !== 'session')) {
    const found = planes.auth.authenticate({ authorization, address, scope: 'management' });
    if (!found.ok) return found;
    const { id: keyId, projectId, scopes } = found.key;
    return known({ kind: 'api_key', keyId, projectId, scopes });
  }
  const sessionToken = readSessionCookie(context);
  const session = sessionToken === undefined ? null : await planes.control.session(sessionToken);
  if (session === null) {
    const message = authorization === undefined ? notSignedIn : noKey;
    return { ok: false, name: 'not_signed_in', message };
  }
  const evenOneTime = access.by === 'session' && access.evenOneTime === true;
  if (session.mustChangePassword && !evenOneTime) {
    return { ok: false, name: 'password_change_required', message: changeFirst };
  }
  return known(session.principal, sessionToken);
}

export type Provenance = 'ours' | 'foreign' | 'not_json';

/** Where a change comes from; asked for whatever a cookie, or the wish for one, authenticates. */
export function provenanceOf(context: ControlContext, hosts: KnownHosts): Provenance {
  const site = context.req.header('sec-fetch-site');
  const origin = context.req.header('origin');
  const ours =
    site === undefined ? origin !== undefined && hosts.isOwnOrigin(origin) : site === 'same-origin';
  if (!ours) return 'foreign';
  const type = context.req.header('content-type') ?? '';
  return /^application\/json\s*(;|$)/i.test(type) ? 'ours' : 'not_json';
}
