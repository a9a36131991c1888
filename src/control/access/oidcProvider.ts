/**
 * One OpenID Connect provider: authorization code with PKCE, state and nonce. Discovery, the token
 * call and the checks of the ID token against the provider's keys are `openid-client`'s.
 *
 * Invariants
 * O1 Nothing is sent to or taken from a provider but by https, unless the operator named one on
 *    this machine's loopback.
 * O2 An answer of the provider is bounded in size and time, and no redirect of it is followed.
 */
import * as oidc from 'openid-client';
import { request } from 'undici';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import {
  oidcAnswerBytes,
  oidcClockToleranceSeconds,
  oidcDiscoveryLifetimeMs,
  oidcTimeoutMs,
} from '../limits.ts';

export interface OidcProviderConfig {
  /** `https:`, or `http:` on loopback. */
  issuer: string;
  clientId: string;
  /** Null: a public client, which PKCE alone protects. */
  clientSecret: string | null;
}

/** What one sign-in at the provider is bound to; kept by the browser that began it, sealed. */
export interface OidcLogin {
  state: string;
  nonce: string;
  verifier: string;
  redirectUri: string;
}

/** Who the provider says that somebody is. */
export interface OidcIdentity {
  issuer: string;
  subject: string;
  /** Null: the provider does not say. */
  email: string | null;
  emailVerified: boolean;
}

export type ProviderRefusal = {
  ok: false;
  /** `denied`: the provider itself said no, e.g. because the person did. */
  reason: 'provider_unavailable' | 'denied' | 'failed';
};

export interface OidcProvider {
  /** Begins a sign-in: where to send the browser, and what to keep. */
  begin(
    redirectUri: string,
  ): Promise<{ ok: true; url: string; login: OidcLogin } | ProviderRefusal>;
  /** Ends it: `query` is what the browser came back with, `?…` included. */
  end(input: {
    login: OidcLogin;
    query: string;
  }): Promise<{ ok: true; identity: OidcIdentity } | ProviderRefusal>;
}

/** The provider cannot be reached, or does not speak as one. */
class ProviderAway extends Error {}

type Options = { config: OidcProviderConfig; clock: Clock; log: Logger };

export function createOidcProvider(options: Options): OidcProvider {
  const { clock } = options;
  let known: { configuration: oidc.Configuration; untilMs: number } | undefined;
  const discovered = async (): Promise<oidc.Configuration> => {
    if (known !== undefined && clock.monotonic() < known.untilMs) return known.configuration;
    const configuration = await discover(options.config);
    known = { configuration, untilMs: clock.monotonic() + oidcDiscoveryLifetimeMs };
    return configuration;
  };
  const guarded = async <Outcome>(
    step: 'begin' | 'end',
    run: (configuration: oidc.Configuration) => Promise<Outcome>,
  ): Promise<Outcome | ProviderRefusal> => {
    try {
      return await run(await discovered());
    } catch (error) {
      return refusal(options, { step, error });
    }
  };
  return {
    begin: (redirectUri) => guarded('begin', (known) => begin(known, redirectUri)),
    end: (input) => guarded('end', (known) => end(known, input)),
  };
}

function discover(config: OidcProviderConfig): Promise<oidc.Configuration> {
  const server = new URL(config.issuer);
  const { clientSecret } = config;
  const metadata = { [oidc.clockTolerance]: oidcClockToleranceSeconds };
  const authentication = clientSecret === null ? oidc.None() : secretAuthentication(clientSecret);
  return oidc
    .discovery(server, config.clientId, metadata, authentication, {
      timeout: oidcTimeoutMs / 1000,
      [oidc.customFetch]: boundedFetch,
      // O1: the configuration lets http through on loopback alone.
      execute: server.protocol === 'http:' ? [oidc.allowInsecureRequests] : [],
    })
    .catch((error: unknown) => {
      throw new ProviderAway('discovery failed', { cause: error });
    });
}

/** As the provider asks for it; the header where it says nothing, as the standard has it. */
function secretAuthentication(secret: string): oidc.ClientAuth {
  const [inHeader, inBody] = [oidc.ClientSecretBasic(secret), oidc.ClientSecretPost(secret)];
  return (server, ...rest) => {
    const methods = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
    return (methods.includes('client_secret_basic') ? inHeader : inBody)(server, ...rest);
  };
}

async function begin(
  configuration: oidc.Configuration,
  redirectUri: string,
): Promise<{ ok: true; url: string; login: OidcLogin }> {
  const login = {
    state: oidc.randomState(),
    nonce: oidc.randomNonce(),
    verifier: oidc.randomPKCECodeVerifier(),
    redirectUri,
  };
  const url = oidc.buildAuthorizationUrl(configuration, {
    redirect_uri: redirectUri,
    scope: 'openid email',
    state: login.state,
    nonce: login.nonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(login.verifier),
    code_challenge_method: 'S256',
  });
  return { ok: true, url: url.href, login };
}

async function end(
  configuration: oidc.Configuration,
  { login, query }: { login: OidcLogin; query: string },
): Promise<{ ok: true; identity: OidcIdentity }> {
  const currentUrl = new URL(login.redirectUri);
  currentUrl.search = query;
  const tokens = await oidc.authorizationCodeGrant(configuration, currentUrl, {
    expectedState: login.state,
    expectedNonce: login.nonce,
    pkceCodeVerifier: login.verifier,
  });
  const claims = tokens.claims();
  if (claims === undefined) throw new Error('the provider gave no ID token');
  const told =
    claims.email === undefined ? await userInfo(configuration, tokens, claims.sub) : claims;
  return {
    ok: true,
    identity: {
      issuer: claims.iss,
      subject: claims.sub,
      email: typeof told.email === 'string' ? told.email : null,
      emailVerified: told.email_verified === true,
    },
  };
}

/** Many providers tell the address there only. */
async function userInfo(
  configuration: oidc.Configuration,
  tokens: { access_token: string },
  subject: string,
): Promise<{ email?: unknown; email_verified?: unknown }> {
  if (configuration.serverMetadata().userinfo_endpoint === undefined) return {};
  return oidc.fetchUserInfo(configuration, tokens.access_token, subject);
}

function refusal(
  { log }: Options,
  { step, error }: { step: 'begin' | 'end'; error: unknown },
): ProviderRefusal {
  if (error instanceof oidc.AuthorizationResponseError) {
    log.info({ error: error.error }, 'the identity provider refused a sign-in');
    return { ok: false, reason: 'denied' };
  }
  const away = isAway(error);
  log.warn({ err: error, step }, away ? 'the identity provider is away' : 'sign-in failed there');
  return { ok: false, reason: away ? 'provider_unavailable' : 'failed' };
}

function isAway(error: unknown): boolean {
  if (error instanceof ProviderAway) return true;
  return error instanceof Error && error.cause !== undefined && isAway(error.cause);
}

/** O2 */
const boundedFetch: oidc.CustomFetch = async (url, options) => {
  const { method, headers, body, signal } = options;
  const answer = await request(url, {
    method: method as 'GET' | 'POST',
    headers,
    body: bodyText(body),
    signal: signal ?? null,
    headersTimeout: oidcTimeoutMs,
    bodyTimeout: oidcTimeoutMs,
  }).catch((error: unknown) => {
    throw new ProviderAway('no answer', { cause: error });
  });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer.body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > oidcAnswerBytes) throw new ProviderAway('an answer beyond the bound');
    chunks.push(chunk);
  }
  const lines = Object.entries(answer.headers).flatMap(([name, value]) =>
    value === undefined ? [] : [value].flat().map((one): [string, string] => [name, one]),
  );
  const content = chunks.length === 0 ? null : Buffer.concat(chunks);
  return new Response(content, { status: answer.statusCode, headers: lines });
};

function bodyText(body: unknown): string | null {
  if (body === undefined || body === null) return null;
  if (typeof body === 'string' || body instanceof URLSearchParams) return body.toString();
  throw new TypeError('a body of an unknown kind');
}
