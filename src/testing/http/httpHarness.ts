/**
 * The whole HTTP plane on an ephemeral port, over a real control plane and database; the router is
 * the test's. With a plain client that hides nothing, and raw sockets for what no client would
 * send.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { OidcConfig } from '../../control/access/accessControl.ts';
import type { ControlConfig } from '../../control/parts.ts';
import type { HttpLimits } from '../../http/limits.ts';
import {
  createHttpServer,
  type HttpConfig,
  type HttpServer,
  type RouterPlane,
} from '../../http/server.ts';
import { tierTable } from '../../domain/tiers/tiers.ts';
import { systemClock, type Clock } from '../../lib/clock.ts';
import { silentLogger, type Logger } from '../../lib/log.ts';
import { systemRandom } from '../../lib/random.ts';
import type { MakeScheduler } from '../../router/requests/schedulerDriver.ts';
import type { DirectoryFeed } from '../../router/ports.ts';
import { createRouter, type Router, type RouterConfig } from '../../router/router.ts';
import { checkContract } from './contractCheck.ts';
import { openControlHarness, type ControlHarness } from './controlHarness.ts';
import { createScriptedRouter, type ScriptedRouter } from './scriptedRouter.ts';

export interface Reply {
  status: number;
  headers: http.IncomingHttpHeaders;
  text: string;
  /** Parsed when it is JSON, else undefined. */
  json: unknown;
}

export interface CallOptions {
  headers?: http.OutgoingHttpHeaders;
  body?: unknown;
  /** Adds `Authorization: Bearer`. */
  key?: string;
  /** Of an answer that goes on without end, only its head. */
  headOnly?: boolean;
}

export interface HttpHarness<Plane extends RouterPlane = ScriptedRouter> extends ControlHarness {
  server: HttpServer;
  router: Plane;
  port: number;
  /** `http://127.0.0.1:<port>` */
  base: string;
  dashboardDir: string;
  installDir: string;
  /**
   * One request on a connection of its own. An object as body becomes JSON. What a control route
   * answers is held to its contract.
   */
  call(method: string, path: string, options?: CallOptions): Promise<Reply>;
  /** Sends bytes as they are and collects what comes back until the server closes. */
  raw(bytes: string | Buffer): Promise<string>;
  /** Signs the admin in; gives the cookie and what a page of ours sends with it. */
  signIn(): Promise<{ cookie: string; origin: string; 'content-type': string }>;
}

export interface HttpHarnessOptions {
  limits?: Partial<HttpLimits>;
  config?: Partial<HttpConfig>;
  log?: Logger;
  /** Of another database than a new embedded one. */
  url?: string;
  control?: Partial<ControlConfig>;
  oidc?: OidcConfig;
  /** Of the real router. */
  router?: Partial<Omit<RouterConfig, 'dataDir'>>;
  /** The real router hears of a change when it is told, and not by the look that comes anyway. */
  toldOnly?: boolean;
  /** Of the real router and the server: spans and timers; the date is the control plane's. */
  clock?: Clock;
  /** What decides in the real router. */
  makeScheduler?: MakeScheduler;
}

export interface PlatformHarness extends HttpHarness<Router> {
  /** Where the router's journal lies, until `close`. */
  routerDirectory: string;
}

/** With a router whose answers the test writes by hand. */
export async function openHttpHarness(options: HttpHarnessOptions = {}): Promise<HttpHarness> {
  const control = await openControlHarness(options.control, controlOptions(options));
  const router = await createScriptedRouter(control.control.directoryFeed);
  return serveHarness(control, { ...options, router, stop: () => router.stop() });
}

/** With the real router: control plane, data plane and HTTP as they are composed in the product. */
export async function openPlatformHarness(
  options: HttpHarnessOptions = {},
): Promise<PlatformHarness> {
  const control = await openControlHarness(options.control, controlOptions(options));
  const dataDir = await mkdtemp(path.join(tmpdir(), 'xim-router-'));
  const { usageSink, presenceSink, healthSink } = control.control;
  const { directoryFeed: feed, budgetLedger: budgets } = control.control;
  const directoryFeed = options.toldOnly === true ? toldOnly(feed) : feed;
  const sinks = { usage: usageSink, budgets, presence: presenceSink, health: healthSink };
  const router = createRouter({
    ports: { directory: directoryFeed, ...sinks },
    clock: sharedClock(control, options.clock),
    makeScheduler: options.makeScheduler,
    random: systemRandom,
    log: silentLogger,
    config: {
      routerId: 'router-1',
      tiers: options.control?.tiers ?? tierTable(),
      ...options.router,
      dataDir,
    },
  });
  await router.start();
  const stop = async (): Promise<void> => {
    await router.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
  const harness = await serveHarness(control, { ...options, router, stop });
  return { ...harness, routerDirectory: dataDir };
}

/** A look that nobody has called for finds nothing. */
function toldOnly(feed: DirectoryFeed): DirectoryFeed {
  let told = false;
  return {
    ...feed,
    onHint: (hint) =>
      feed.onHint(() => {
        told = true;
        hint();
      }),
    async changesSince(revision, limit) {
      if (!told) return { ok: true, changes: [] };
      told = false;
      const outcome = await feed.changesSince(revision, limit);
      told ||= !outcome.ok || outcome.changes.length === limit;
      return outcome;
    },
  };
}

function controlOptions({ url, oidc }: HttpHarnessOptions): { url?: string; oidc?: OidcConfig } {
  return { ...(url === undefined ? {} : { url }), ...(oidc === undefined ? {} : { oidc }) };
}

/** Spans are real; the date is the control plane's, which signs tokens by it. */
function sharedClock({ clock }: ControlHarness, spans: Clock = systemClock): Clock {
  return { ...spans, now: () => clock.now() };
}

async function serveHarness<Plane extends RouterPlane>(
  control: ControlHarness,
  options: Omit<HttpHarnessOptions, 'router'> & {
    router: Plane;
    stop: () => Promise<void> | void;
  },
): Promise<HttpHarness<Plane>> {
  const { router, stop, limits, log = silentLogger } = options;
  const files = await mkdtemp(path.join(tmpdir(), 'xim-http-'));
  const dashboardDir = path.join(files, 'dashboard');
  const installDir = path.join(files, 'install');
  const config: HttpConfig = {
    host: '127.0.0.1',
    port: 0,
    publicUrl: (bound) => `http://127.0.0.1:${bound}`,
    trustedProxies: [],
    pin: null,
    version: '0.0.0-test',
    dashboardDir,
    installDir,
    ...(limits === undefined ? {} : { limits }),
    ...options.config,
  };
  const [clock, random, notices] = [sharedClock(control, options.clock), systemRandom, () => []];
  const planes = { router, control: control.control };
  const server = createHttpServer({ ...planes, config, log, clock, random, notices });
  const { port } = await server.listen();
  const base = `http://127.0.0.1:${port}`;
  const call = async (method: string, target: string, with_: CallOptions = {}): Promise<Reply> => {
    const reply = await request({ port, method, target, options: with_ });
    checkContract({ method, target, ...reply });
    return reply;
  };
  return {
    ...control,
    server,
    router,
    port,
    base,
    dashboardDir,
    installDir,
    call,
    raw: (bytes) => exchangeRaw(port, bytes),
    signIn: () => signIn({ base, call, admin: control.credentials.admin }),
    async close() {
      await server.close();
      await stop();
      await control.close();
      await rm(files, { recursive: true, force: true });
    },
  };
}

async function signIn(as: {
  base: string;
  call: HttpHarness['call'];
  admin: { email: string; password: string };
}): Promise<{ cookie: string; origin: string; 'content-type': string }> {
  const page = { origin: as.base, 'content-type': 'application/json' };
  const { email, password } = as.admin;
  const reply = await as.call('POST', '/api/v1/sign-in', {
    headers: page,
    body: { email, password },
  });
  if (reply.status !== 200) throw new Error(`sign-in: ${reply.status} ${reply.text}`);
  const cookie = reply.headers['set-cookie']?.[0]?.split(';')[0] ?? '';
  return { ...page, cookie };
}

function request(call: {
  port: number;
  method: string;
  target: string;
  options: CallOptions;
}): Promise<Reply> {
  const { port, method, target, options } = call;
  const { key, body } = options;
  const payload =
    body === undefined || typeof body === 'string' || Buffer.isBuffer(body)
      ? body
      : JSON.stringify(body);
  const headers = {
    ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    ...(payload === undefined ? {} : { 'content-length': Buffer.byteLength(payload) }),
    ...options.headers,
  };
  return new Promise((resolve, reject) => {
    const outgoing = http.request(
      { host: '127.0.0.1', port, method, path: target, headers, agent: false },
      (incoming) => {
        const { statusCode: status = 0, headers: answered } = incoming;
        if (options.headOnly === true && status < 400) {
          outgoing.destroy();
          resolve({ status, headers: answered, text: '', json: undefined });
          return;
        }
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('error', reject);
        incoming.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          const isJson = incoming.headers['content-type']?.startsWith('application/json');
          const json: unknown = isJson === true && text !== '' ? JSON.parse(text) : undefined;
          resolve({ status, headers: answered, text, json });
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(payload);
  });
}

function exchangeRaw(port: number, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes));
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
  });
}
