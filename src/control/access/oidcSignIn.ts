/**
 * Sign-in with an OpenID Connect provider. An account is bound to (issuer, subject) at its first
 * sign-in, which is found by its e-mail address; from then on the address may change on either
 * side.
 *
 * Invariants
 * O3 An address counts only when the provider says that it verified it, and of an allowed domain.
 * O4 An answer is taken only from the browser that began the sign-in (the sealed login, which it
 *    keeps as a cookie), within ten minutes.
 * O5 One person of a provider is one account: another subject with the address of a bound account
 *    does not get in.
 */
import type { UserRow } from '../../store/contract/peopleStore.ts';
import { auditOf } from '../audit.ts';
import { longestEmail, oidcLoginLifetimeMs } from '../limits.ts';
import type { ControlParts } from '../parts.ts';
import { newAccount } from '../people/createUser.ts';
import type { Caller } from '../principal.ts';
import type { ServerSecrets } from '../secrets.ts';
import type { OidcIdentity, OidcLogin, OidcProvider, ProviderRefusal } from './oidcProvider.ts';
import { openSession, type OpenedSession } from './signIn.ts';

export interface OidcPolicy {
  /** What the button says: `Sign in with <name>`. */
  name: string;
  /** Domains of addresses that may sign in, lower case; empty: any. */
  allowedDomains: readonly string[];
  /** Whether somebody without an account gets one (of the role `user`). */
  createUsers: boolean;
}

export type OidcRefusal =
  | ProviderRefusal
  | {
      ok: false;
      reason:
        /** No provider is configured. */
        | 'not_configured'
        /** O4 */
        | 'login_expired'
        /** O3 */
        | 'email_unverified'
        | 'domain_not_allowed'
        | 'unknown_account'
        /** O5 */
        | 'bound_to_another'
        | 'account_disabled';
    };

export interface OidcSignIn {
  /** Null: none is configured. */
  provider: { name: string } | null;
  /** `sealedLogin` is for the browser to keep and to bring back. */
  begin(input: {
    redirectUri: string;
  }): Promise<{ ok: true; url: string; sealedLogin: string } | OidcRefusal>;
  end(input: {
    caller: Caller;
    sealedLogin: string;
    query: string;
  }): Promise<OpenedSession | OidcRefusal>;
}

type Parts = Pick<ControlParts, 'store' | 'clock' | 'random' | 'log'> & {
  secrets: Pick<ServerSecrets, 'seal' | 'unseal'>;
  oidc: { provider: OidcProvider; policy: OidcPolicy } | null;
};

const sealName = 'oidc login';

export function createOidcSignIn(parts: Parts): OidcSignIn {
  const { oidc, secrets, clock } = parts;
  if (oidc === null) {
    const none = { ok: false, reason: 'not_configured' } as const;
    return { provider: null, begin: () => Promise.resolve(none), end: () => Promise.resolve(none) };
  }
  const { provider, policy } = oidc;
  return {
    provider: { name: policy.name },
    async begin({ redirectUri }) {
      const begun = await provider.begin(redirectUri);
      if (!begun.ok) return begun;
      const kept: KeptLogin = { ...begun.login, untilMs: clock.now() + oidcLoginLifetimeMs };
      const sealedLogin = secrets.seal({ name: sealName, text: JSON.stringify(kept) });
      return { ok: true, url: begun.url, sealedLogin };
    },
    async end({ caller, sealedLogin, query }) {
      const text = secrets.unseal({ name: sealName, sealed: sealedLogin });
      const login = text === undefined ? undefined : (JSON.parse(text) as KeptLogin);
      if (login === undefined || login.untilMs <= clock.now()) {
        return { ok: false, reason: 'login_expired' };
      }
      const ended = await provider.end({ login, query });
      if (!ended.ok) return ended;
      const account = await accountOf({ ...parts, policy }, { caller, identity: ended.identity });
      if (!account.ok) {
        parts.log.info(
          { reason: account.reason },
          'a sign-in of the identity provider was refused',
        );
        return account;
      }
      const opened = await openSession(parts, { user: account.user, method: 'oidc' });
      return opened.ok ? opened : { ok: false, reason: 'account_disabled' };
    },
  };
}

interface KeptLogin extends OidcLogin {
  untilMs: number;
}

interface Arrival {
  caller: Caller;
  identity: OidcIdentity;
}

async function accountOf(
  parts: Omit<Parts, 'oidc'> & { policy: OidcPolicy },
  arrival: Arrival,
): Promise<{ ok: true; user: UserRow } | OidcRefusal> {
  const { store, policy } = parts;
  const { issuer, subject, emailVerified } = arrival.identity;
  const given = arrival.identity.email?.trim() ?? '';
  const email = given.toLowerCase();
  // What only looks like an address's letters (the sign for kelvin) must not become them.
  const folded = email !== given.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
  if (!emailVerified || email === '' || email.length > longestEmail || folded) {
    return { ok: false, reason: 'email_unverified' };
  }
  const domain = email.slice(email.lastIndexOf('@') + 1);
  if (policy.allowedDomains.length > 0 && !policy.allowedDomains.includes(domain)) {
    return { ok: false, reason: 'domain_not_allowed' };
  }
  const bound = await store.userByIdentity({ issuer, subject });
  if (bound !== null) return enabled(bound);
  const known = await store.userByEmail(email);
  if (known !== null) return bind(parts, { ...arrival, user: known });
  return policy.createUsers ? create(parts, { ...arrival, email }) : refusedAsUnknown;
}

const refusedAsUnknown = { ok: false, reason: 'unknown_account' } as const;

function enabled(user: UserRow): { ok: true; user: UserRow } | OidcRefusal {
  return user.disabledAtMs === null
    ? { ok: true, user }
    : { ok: false, reason: 'account_disabled' };
}

async function bind(
  parts: Pick<ControlParts, 'store' | 'clock'>,
  { caller, identity, user }: Arrival & { user: UserRow },
): Promise<{ ok: true; user: UserRow } | OidcRefusal> {
  const allowed = enabled(user);
  if (!allowed.ok) return allowed;
  const { issuer, subject } = identity;
  const outcome = await parts.store.linkIdentity({
    identity: { issuer, subject, userId: user.id, createdAtMs: parts.clock.now() },
    audit: auditOf(parts, asUser(caller, user), {
      action: 'user.link_identity',
      target: user.id,
      projectId: null,
      changes: { issuer: { from: null, to: issuer } },
    }),
  });
  return outcome.ok ? allowed : boundMeanwhile(parts.store, { identity, user });
}

/** The same person came twice at once: whoever was first has bound, or even made, the account. */
async function boundMeanwhile(
  store: ControlParts['store'],
  { identity, user }: { identity: OidcIdentity; user: UserRow | null },
): Promise<{ ok: true; user: UserRow } | OidcRefusal> {
  const { issuer, subject } = identity;
  const bound = await store.userByIdentity({ issuer, subject });
  const isOther = bound === null || (user !== null && bound.id !== user.id);
  return isOther ? { ok: false, reason: 'bound_to_another' } : enabled(bound);
}

async function create(
  parts: Pick<ControlParts, 'store' | 'clock' | 'random'>,
  { caller, identity, email }: Arrival & { email: string },
): Promise<{ ok: true; user: UserRow } | OidcRefusal> {
  const { issuer, subject } = identity;
  const user = newAccount(parts, { email, role: 'user' });
  const outcome = await parts.store.insertUserWithIdentity({
    user,
    identity: { issuer, subject, userId: user.id, createdAtMs: user.createdAtMs },
    audit: auditOf(parts, asUser(caller, user), {
      action: 'user.create',
      target: user.id,
      projectId: null,
      changes: { email: { from: null, to: email }, issuer: { from: null, to: issuer } },
    }),
  });
  return outcome.ok ? { ok: true, user } : boundMeanwhile(parts.store, { identity, user: null });
}

/** Whoever arrives is the account, as far as the audit log is concerned. */
function asUser(caller: Caller, { id: userId, email, role }: UserRow): Caller {
  return { ...caller, principal: { kind: 'user', userId, email, role } };
}
