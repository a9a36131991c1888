/**
 * A real OpenID Connect provider on loopback. Whoever `person` is at the moment is signed in there
 * without being asked, as in a browser that the provider knows; the protocol is all of it.
 */
import { generateKeyPairSync } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Provider, type Configuration } from 'oidc-provider';

export interface Person {
  subject: string;
  email: string;
  emailVerified: boolean;
}

export interface IdentityProvider {
  issuer: string;
  clientId: string;
  clientSecret: string;
  /** Who is signed in there; null: who comes is refused. */
  person: Person | null;
  /** Begins to answer, for a client that comes back to one of these addresses. */
  serve(options: { redirectUris: string[]; emailInToken?: boolean }): void;
  close(): Promise<void>;
}

const clientId = 'xim';
const clientSecret = 'a secret of the client, long enough';

export async function startIdentityProvider(): Promise<IdentityProvider> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const issuer = `http://127.0.0.1:${port}`;
  const started: IdentityProvider = {
    issuer,
    clientId,
    clientSecret,
    person: null,
    serve: (options) => answer({ server, started, ...options }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return started;
}

function answer(options: {
  server: Server;
  started: IdentityProvider;
  redirectUris: string[];
  emailInToken?: boolean;
}): void {
  const { server, started, redirectUris, emailInToken = false } = options;
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const people = new Map<string, Person>();
  const configuration: Configuration = {
    clients: [{ client_id: clientId, client_secret: clientSecret, redirect_uris: redirectUris }],
    jwks: {
      keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256' }],
    } as never,
    cookies: { keys: ['one of the provider’s own'] },
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    // Minutes are enough, and saying so keeps its notices off the test's output.
    ttl: { Interaction: 600, Grant: 600, Session: 600, AccessToken: 600, IdToken: 600 },
    conformIdTokenClaims: !emailInToken,
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_context, subject) => {
      const { email, emailVerified } = people.get(subject) ?? { email: '', emailVerified: false };
      const claims = { sub: subject, email, email_verified: emailVerified };
      return { accountId: subject, claims: () => claims };
    },
    // What it tells is not asked about.
    async loadExistingGrant(context) {
      const { session, client, provider } = context.oidc;
      const accountId = session?.accountId ?? '';
      const grant = new provider.Grant({ clientId: client?.clientId ?? '', accountId });
      grant.addOIDCScope('openid email');
      await grant.save();
      return grant;
    },
  };
  const provider = new Provider(started.issuer, configuration);
  const callback = provider.callback();
  server.on('request', (request, response) => {
    if (request.url?.startsWith('/interaction/') !== true) return void callback(request, response);
    const { person } = started;
    if (person !== null) people.set(person.subject, person);
    const result =
      person === null
        ? { error: 'access_denied', error_description: 'the person said no' }
        : { login: { accountId: person.subject, remember: false } };
    // Its answer is the redirect; what goes wrong shows in the test.
    void provider.interactionFinished(request, response, result, {
      mergeWithLastSubmission: false,
    });
  });
}
