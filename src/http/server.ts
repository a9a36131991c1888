/**
 * The HTTP plane, composed once: every request goes through the route table to its one handler.
 *
 * | part | what it does |
 * | --- | --- |
 * | `listener.ts` | sockets, bounds, timeouts; answers what never becomes a request |
 * | `dispatch.ts` | row of the route table → its one handler |
 * | `data/` | `/v1` and `/{project}`: on `node:http` itself, by data handlers |
 * | `control/` | `/api/v1`: Hono, sessions and management keys |
 * | `enrolment.ts` | nonce, enrol, refresh: credentials in the body |
 * | `linkUpgrade.ts` | the agent link's WebSocket, handed to the router |
 * | `files/` | dashboard and installer |
 * | `health.ts` | `/healthz`, `/readyz`, `/metrics` |
 *
 * Invariants
 * C3 The listener serves nothing that is not in the route table (`api/routes.ts`).
 * X1 Every answer carries a request id; every refusal is a row of the error table, in the envelope.
 * X2 The Host header builds nothing; the caller's address is the socket's, or what a trusted proxy
 *    says.
 * R6 Everything a client can make the server hold has a bound in `limits.ts`.
 */
import type { Control } from '../control/control.ts';
import { joinCommand } from '../api/joinCommand.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import type { Random } from '../lib/random.ts';
import { noTracing, type Tracing } from '../lib/tracing/span.ts';
import { linkMaxMessageBytes, type Router } from '../router/router.ts';
import { AddressLimiter } from './addresses/addressLimiter.ts';
import { createClientAddress } from './addresses/clientAddress.ts';
import { createControlPlane } from './control/controlApp.ts';
import { ReadTurns } from './control/readTurns.ts';
import type { LiveView } from './live/liveView.ts';
import type { Notices } from './projects/projectRoutes.ts';
import { ApiKeyAuth } from './data/apiKeyAuth.ts';
import { createChatHandler } from './data/chatCompletions.ts';
import { createModelHandlers } from './data/models.ts';
import { createPreflight } from './data/preflight.ts';
import { createDispatch, type Handlers } from './exchanges/dispatch.ts';
import { createResumeWaits } from './agents/resumeWaits.ts';
import { createEnrolmentHandlers } from './enrolment.ts';
import { createDashboard } from './files/dashboardFiles.ts';
import { createInstallFiles } from './files/installFiles.ts';
import { createHealthHandlers } from './health.ts';
import { createKnownHosts, type KnownHosts } from './addresses/knownHosts.ts';
import { HttpMeter } from './httpMeter.ts';
import { httpLimits, type HttpLimits, type LimitedAction } from './limits.ts';
import { createLinkUpgrade, type RefuseUpgrade } from './listening/linkUpgrade.ts';
import { createListener, type Listener, type TlsFiles } from './listening/listener.ts';
import { ReadingBudget } from './listening/readBody.ts';

export interface HttpConfig {
  host: string;
  /** 0 takes any free one. */
  port: number;
  /** How others reach the server, given the port that was bound; without a slash at the end. */
  publicUrl: (port: number) => string;
  /** Addresses and ranges whose `X-Forwarded-For` is believed. */
  trustedProxies: readonly string[];
  /** Of the server's private certificate, `sha256//…`; null when others vouch for it, or no TLS. */
  pin: string | null;
  /** Where the build leaves the dashboard, and `xim.tgz` with `xim.json`. */
  dashboardDir: string;
  installDir: string;
  version: string;
  /** Bounds that differ from `limits.ts`. */
  limits?: Partial<HttpLimits>;
}

/** What the HTTP plane needs of the router. */
export type RouterPlane = LiveView &
  Pick<Router, 'submit' | 'acceptWebSocket' | 'ready' | 'metrics'>;

export interface HttpServerOptions {
  router: RouterPlane;
  control: Control;
  config: HttpConfig;
  log: Logger;
  clock: Clock;
  random: Random;
  notices: Notices;
  /** What is measured beyond router and HTTP, in Prometheus’ text format. */
  moreMetrics?: () => string;
  /** Where traces begin and spans go; absent: nothing is recorded. */
  tracing?: Tracing;
  /** Absent: plain HTTP. */
  tls?: TlsFiles | undefined;
}

export interface HttpServer {
  /** Rejects when the address is taken or not ours; resolves once connections are accepted. */
  listen(): Promise<{ address: string; port: number; publicUrl: string }>;
  /**
   * Takes nothing new and waits for what runs, `drainMs` at most; what is left is cut. Idempotent.
   */
  drain(): Promise<void>;
  /** Cuts everything. Idempotent. */
  close(): Promise<void>;
}

export function createHttpServer(options: HttpServerOptions): HttpServer {
  const { config } = options;
  const limits: HttpLimits = { ...httpLimits, ...config.limits };
  const stopping = new AbortController();
  let hosts: KnownHosts | undefined;
  const knownHosts = (): KnownHosts => {
    if (hosts === undefined) throw new Error('the server does not listen yet');
    return hosts;
  };
  const meter = new HttpMeter();
  const stopped = { stopping: stopping.signal };
  const listener = composeListener({ ...options, ...stopped, limits, knownHosts, meter });

  return {
    async listen() {
      const { address, port } = await listener.listen(config);
      const publicUrl = config.publicUrl(port);
      const secure = options.tls !== undefined;
      hosts = createKnownHosts({ publicUrl, secure, bound: { address, port } });
      return { address, port, publicUrl: hosts.publicBase() };
    },
    async drain() {
      stopping.abort();
      await listener.drain();
    },
    async close() {
      stopping.abort();
      await listener.close();
    },
  };
}

interface Parts extends HttpServerOptions {
  limits: HttpLimits;
  meter: HttpMeter;
  stopping: AbortSignal;
  knownHosts: () => KnownHosts;
}

function composeListener(parts: Parts): Listener {
  const { router, config, limits, clock, log, meter } = parts;
  const addressOf = createClientAddress(config.trustedProxies);
  return createListener({
    limits,
    clock,
    log,
    meter,
    addressOf,
    random: parts.random,
    tls: parts.tls,
    dispatch: createDispatch({ handlers: handlersOf(parts), limits, log }),
    link: (refuse: RefuseUpgrade) =>
      createLinkUpgrade({
        router,
        addressOf,
        refuse,
        limiter: limiterOf(parts, 'link'),
        maxMessageBytes: Math.min(limits.linkMessageBytes, linkMaxMessageBytes),
        draining: () => parts.stopping.aborted,
      }),
  });
}

function limiterOf({ clock, limits }: Parts, action: LimitedAction): AddressLimiter {
  const limit = limits.perAddress[action];
  return new AddressLimiter({ clock, limit, maxAddresses: limits.limitedAddresses });
}

function readTurnsOf({ clock, limits }: Parts): ReadTurns {
  return new ReadTurns({ clock, limits: limits.reading, maxReaders: limits.limitedAddresses });
}

/** Everything that the route table names. */
function handlersOf(parts: Parts): Handlers {
  const { router, control, config, limits, clock, log, stopping, knownHosts } = parts;
  const { tracing = noTracing } = parts;
  const { directory } = router;
  const onUse = (apiKeyId: string): void => control.keyUse.note(apiKeyId);
  const auth = new ApiKeyAuth({ directory, clock, onUse });
  const budget = new ReadingBudget({
    maxBytes: limits.readingBytes,
    callerBytes: limits.projectReadingBytes,
  });
  // Of their own: whoever has no key may send to these, and must not keep those out who have one.
  const controlBudget = new ReadingBudget({
    maxBytes: limits.controlReadingBytes,
    callerBytes: limits.addressReadingBytes,
  });
  const publicBase = (): string => knownHosts().publicBase();
  const { pin } = config;
  const dashboard = createDashboard({ directory: config.dashboardDir, limits });
  const install = createInstallFiles({ directory: config.installDir, pin, publicBase, limits });
  return {
    data: {
      chat: createChatHandler({ router, auth, limits, budget, log, tracing }),
      ...createModelHandlers({ directory, auth }),
      preflight: createPreflight(),
    },
    control: createControlPlane({
      control,
      router,
      auth,
      limits,
      budget: controlBudget,
      clock,
      log,
      knownHosts,
      stopped: stopping,
      version: config.version,
      notices: parts.notices,
      signInLimiter: limiterOf(parts, 'sign_in'),
      changeLimiter: limiterOf(parts, 'change'),
      readTurns: readTurnsOf(parts),
      secure: () => publicBase().startsWith('https:'),
      buildJoinCommand: (joinKey) => joinCommand({ serverUrl: publicBase(), pin, joinKey }),
    }),
    enrolment: createEnrolmentHandlers({
      control,
      resumeWaits: createResumeWaits({ directory, clock, stopping }),
      knownHosts,
      limits,
      budget: controlBudget,
      limiters: {
        nonce: limiterOf(parts, 'nonce'),
        enroll: limiterOf(parts, 'enroll'),
        refresh: limiterOf(parts, 'refresh'),
      },
    }),
    link: {
      link: (exchange) =>
        exchange.refuse('upgrade_required', 'The agent link is a WebSocket.', {
          headers: ['upgrade', 'websocket', 'connection', 'upgrade'],
        }),
    },
    files: { root: (exchange) => exchange.empty(302, ['location', '/ui/']), dashboard, ...install },
    health: createHealthHandlers({
      auth,
      ready: () => router.ready() && !stopping.aborted,
      metrics: () => router.metrics() + parts.meter.text() + (parts.moreMetrics?.() ?? ''),
    }),
  };
}
