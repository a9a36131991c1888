/**
 * Everything that has to do with proving who one is, composed once: sessions, passwords, second
 * factors, OpenID Connect, invitations that are accepted.
 */
import { createUser } from '../people/createUser.ts';
import { resetPassword } from '../people/changeUser.ts';
import type { ControlParts } from '../parts.ts';
import { acceptInvitation, invitationTerms, signUp } from '../projects/acceptInvitation.ts';
import type { ServerSecrets } from '../secrets.ts';
import { bindUseCases, type Bound } from '../useCases.ts';
import { createAttemptLimits } from './attemptLimits.ts';
import type { OidcProvider, OidcProviderConfig } from './oidcProvider.ts';
import { createOidcSignIn, type OidcPolicy, type OidcSignIn } from './oidcSignIn.ts';
import { createOwnPassword, type OwnPassword } from './ownPassword.ts';
import type { Passwords } from './password.ts';
import { createSecondFactors, type SecondFactors } from './secondFactor.ts';
import { createSessions, type Sessions } from './signIn.ts';

/** The provider that people may sign in with. */
export type OidcConfig = OidcProviderConfig & OidcPolicy;

/** Use-cases that stand on passwords and the limits on guessing too. */
const useCases = { createUser, resetPassword, invitationTerms, acceptInvitation, signUp };

export interface AccessControl extends Bound<typeof useCases>, Sessions {
  changePassword: OwnPassword['change'];
  secondFactors: Omit<SecondFactors, 'check'>;
  oidc: OidcSignIn;
}

export function createAccessControl(
  given: ControlParts & {
    secrets: ServerSecrets;
    passwords: Passwords;
    /** Null: nobody signs in elsewhere. */
    oidc: OidcConfig | null;
  },
): AccessControl {
  const { clock, log, oidc } = given;
  const limits = createAttemptLimits(clock);
  const ownPassword = createOwnPassword({ ...given, limits });
  const parts = { ...given, limits, ownPassword };
  const secondFactors = createSecondFactors(parts);
  const provider = oidc === null ? null : providerOf({ config: oidc, clock, log });
  return {
    ...bindUseCases(parts, useCases),
    ...createSessions({ ...parts, secondFactors }),
    changePassword: (input) => ownPassword.change(input),
    secondFactors,
    oidc: createOidcSignIn({
      ...given,
      oidc: provider === null || oidc === null ? null : { provider, policy: oidc },
    }),
  };
}

/** Loaded when somebody comes: most servers have no provider, and its library is large. */
function providerOf(options: {
  config: OidcProviderConfig;
  clock: ControlParts['clock'];
  log: ControlParts['log'];
}): OidcProvider {
  let loading: Promise<OidcProvider> | undefined;
  const load = (): Promise<OidcProvider> =>
    (loading ??= import('./oidcProvider.ts').then(({ createOidcProvider }) =>
      createOidcProvider(options),
    ));
  return {
    begin: async (redirectUri) => (await load()).begin(redirectUri),
    end: async (input) => (await load()).end(input),
  };
}
