/**
 * Sign-in with the identity provider, as a browser walks it: away to the provider, and back with
 * its answer. Both ways end in the dashboard, which tells what went wrong by a word in its address.
 *
 * What the sign-in is bound to travels in a sealed cookie that only these addresses get. It is
 * `SameSite=Lax`, because the way back comes from another site.
 */
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import type { sessionContracts } from '../../api/control/sessions.ts';
import type { OpenedSession } from '../../control/access/signIn.ts';
import type { Control } from '../../control/control.ts';
import type { AddressLimiter } from '../addresses/addressLimiter.ts';
import { oidcCookieSeconds } from '../limits.ts';
import type { ControlCall } from '../control/controlCall.ts';
import type { ControlContext } from '../control/controlContext.ts';
import type { TopicHandlers } from '../control/topicHandlers.ts';

const cookie = 'xim_oidc';
const path = '/api/v1/oidc';
const dashboard = '/ui/';

type Name = 'signInOptions' | 'beginOidc' | 'endOidc';

export function createOidcRoutes(options: {
  control: Pick<Control, 'oidc'>;
  signInLimiter: AddressLimiter;
  secure: () => boolean;
  publicBase: () => string;
  start: (call: Pick<ControlCall, 'context'>, opened: OpenedSession) => void;
}): Pick<TopicHandlers<typeof sessionContracts>, Name> {
  const { signInLimiter, secure, publicBase, start } = options;
  const { oidc } = options.control;
  const admitted = (address: string): boolean => signInLimiter.take(address).ok;
  return {
    signInOptions(call) {
      const { provider } = oidc;
      const start = `${path}/start`;
      return call.json({ oidc: provider === null ? null : { name: provider.name, start } });
    },
    async beginOidc({ caller, context }) {
      if (!admitted(caller.address)) return away(context, 'too_many_attempts');
      const begun = await oidc.begin({ redirectUri: `${publicBase()}${path}/callback` });
      if (!begun.ok) return away(context, begun.reason);
      setCookie(context, cookie, begun.sealedLogin, {
        path,
        httpOnly: true,
        sameSite: 'Lax',
        secure: secure(),
        maxAge: oidcCookieSeconds,
      });
      return context.redirect(begun.url);
    },
    async endOidc({ caller, context }) {
      if (!admitted(caller.address)) return away(context, 'too_many_attempts');
      const sealedLogin = getCookie(context, cookie) ?? '';
      // Good once, whatever comes of it.
      deleteCookie(context, cookie, { path, secure: secure() });
      const query = new URL(context.req.url).search;
      const ended = await oidc.end({ caller, sealedLogin, query });
      if (!ended.ok) return away(context, ended.reason);
      start({ context }, ended);
      return context.redirect(dashboard);
    },
  };
}

/** The word is one of the use-case's reasons, never the provider's own text. */
function away(context: ControlContext, reason: string): Response {
  return context.redirect(`${dashboard}?sign_in=${reason}`);
}
