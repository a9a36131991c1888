/**
 * The server as one process: store, control plane, router and HTTP plane, put together in the order
 * in which they need one another and taken apart in the reverse one.
 */
import { createControl } from '../../control/control.ts';
import type { Control } from '../../control/control.ts';
import { KeyFileError } from '../../control/keyFile.ts';
import { openSecrets } from '../../control/secrets.ts';
import { createHttpServer } from '../../http/server.ts';
import type { HttpServer } from '../../http/server.ts';
import type { Clock } from '../../lib/clock.ts';
import { ClockJumps } from '../../lib/process/clockJumps.ts';
import { newId } from '../../lib/ids.ts';
import type { Logger } from '../../lib/log.ts';
import { directoryProblem } from '../../lib/files/makeDirectory.ts';
import type { Random } from '../../lib/random.ts';
import type { Tracing } from '../../lib/tracing/span.ts';
import { releaseMemory } from '../../lib/memory/releaseMemory.ts';
import { createRouter } from '../../router/router.ts';
import type { Router } from '../../router/router.ts';
import { openStore } from '../../store/openStore.ts';
import { meterStore } from '../../store/storeMeter.ts';
import type { Store } from '../../store/store.ts';
import { StoreError } from '../../store/storeError.ts';
import type { TierTable } from '../../domain/tiers/tiers.ts';
import { publicUrlOf } from './addresses.ts';
import { dashboardDirectory, installDirectory } from './buildAssets.ts';
import type { DataDirectory } from '../firstStart/dataDirectory.ts';
import { oidcConfigOf } from './peopleConfig.ts';
import { openTraces } from '../monitoring/tracing.ts';
import { ProcessMeter } from '../process/processMeter.ts';
import { keepMemoryAtRest, type Traffic } from './restingMemory.ts';
import type { ServeConfig } from './serveConfig.ts';
import { StartupError } from '../process/startupError.ts';
import type { ServerTls } from './tls.ts';
import { version } from '../process/version.ts';

/**
 * How long requests may go on once the server was told to stop, in ms; all of it takes five
 * seconds.
 */
const drainMs = 2_500;
/** Of these, what is left to tell clients that their answers end here. */
const lastWordsMs = 300;
const sweepIntervalMs = 60_000;
/** Agents that the server missed while it was down have this long to come back before they die. */
const firstSweepMs = 300_000;

export interface ServerParts {
  config: ServeConfig;
  data: DataDirectory;
  tiers: TierTable;
  tls: ServerTls | undefined;
  clock: Clock;
  random: Random;
  log: Logger;
}

/** Durable state, open; nothing is served yet. */
export interface ControlPlane {
  store: Store;
  control: Control;
  /** What is measured of the store, in Prometheus' text format. */
  storeMetrics: () => string;
}

export interface RunningServer {
  router: Router;
  port: number;
  publicUrl: string;
  /** Takes nothing new and lets what runs finish, `drainMs` at most. */
  drain(): Promise<void>;
  /** Closes everything. Idempotent. */
  stop(): Promise<void>;
}

/** What the store says of a database, and where that lies; any other error stays as it is. */
export function databaseProblem({ config, data }: ServerParts, error: unknown): unknown {
  if (!(error instanceof StoreError)) return error;
  const where = config.databaseUrl === undefined ? ` (in ${data.path})` : '';
  return new StartupError('database', `${error.message}${where}`);
}

/** Opens database and secrets. Throws a `StartupError` with a sentence. */
export async function openControlPlane(parts: ServerParts): Promise<ControlPlane> {
  const { config, data, clock, random, log } = parts;
  const url = config.databaseUrl ?? `sqlite:${data.file('xim.db')}`;
  const opened = await openStore({ url, log, clock, random }).catch((error: unknown) => {
    throw databaseProblem(parts, error);
  });
  const { store, text: storeMetrics } = meterStore(opened, clock);
  const file = data.file('secrets.key');
  try {
    const { rotateSigningKey } = config;
    const secrets = await openSecrets({ file, store, random, log, rotateSigningKey });
    const disconnectedDiesAfterMs = config.agentDiesAfter === 0 ? null : config.agentDiesAfter;
    const control = createControl({
      store,
      clock,
      random,
      log,
      secrets,
      oidc: oidcConfigOf(config),
      config: {
        disconnectedDiesAfterMs,
        defaultRegion: config.region,
        usersCreateProjects: config.usersCreateProjects,
        allowUnsandboxed: config.allowUnsandboxed,
        tiers: parts.tiers,
      },
    });
    return { store, control, storeMetrics };
  } catch (error) {
    await store.close();
    if (error instanceof KeyFileError) throw new StartupError('data_directory', error.message);
    throw error;
  }
}

/**
 * Starts the router and listens. Throws a `StartupError` with a sentence; nothing is left open
 * then.
 */
export async function startServer(parts: ServerParts, plane: ControlPlane): Promise<RunningServer> {
  const { control, store, storeMetrics } = plane;
  const { config, clock, random, log } = parts;
  const instanceId = newId('rtr', random);
  const traces = openTraces({ config, version, instanceId, clock, random, log });
  const { tracing } = traces;
  const router = await startRouter(parts, { control, tracing, routerId: instanceId }).catch(
    async (error: unknown) => {
      await store.close();
      throw error;
    },
  );
  const meter = new ProcessMeter({ clock: parts.clock, version });
  const moreMetrics = (): string => storeMetrics() + meter.text() + traces.metrics();
  const http = newHttpServer(parts, { control, router, moreMetrics, tracing });
  const stopping = new AbortController();
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    stopping.abort();
    meter.stop();
    await http.close();
    await router.stop();
    await traces.stop();
    // To the minute is good enough: what is lost here is lost.
    await control.keyUse.flush().catch(() => undefined);
    await store.close();
  };
  try {
    // What was loaded and replayed has left its traces; from here on others wait for this thread.
    releaseMemory();
    const { port, publicUrl } = await http.listen();
    meter.start();
    keepSweeping({ ...parts, control, router }, stopping.signal);
    const traffic = (): Traffic => trafficOf(router);
    keepMemoryAtRest({ traffic, clock: parts.clock, stopped: stopping.signal });
    return {
      router,
      port,
      publicUrl,
      drain: async () => {
        await Promise.all([http.drain(), router.drain(drainMs - lastWordsMs)]);
      },
      stop: () => (closed ??= close()),
    };
  } catch (error) {
    await close();
    throw listenProblem(error, parts.config) ?? error;
  }
}

function trafficOf(router: Router): Traffic {
  const { running, waiting, outcomes } = router.stats();
  const ended = Object.values(outcomes).reduce((sum, count) => sum + count, 0);
  return { running, waiting, ended };
}

async function startRouter(
  parts: ServerParts,
  planes: { control: Control; tracing: Tracing; routerId: string },
): Promise<Router> {
  const { control, tracing, routerId } = planes;
  const { config, data, tiers, clock, random, log } = parts;
  const router = createRouter({
    ports: {
      directory: control.directoryFeed,
      usage: control.usageSink,
      budgets: control.budgetLedger,
      presence: control.presenceSink,
      health: control.healthSink,
    },
    config: {
      routerId,
      dataDir: data.path,
      region: config.region,
      tiers,
      linkSilentAfterMs: config.linkSilence,
      firstByteMs: config.firstByteLimit || undefined,
      stallMs: config.stallLimit || undefined,
      hedging: config.hedging,
    },
    clock,
    random,
    log,
    tracing,
  });
  try {
    await router.start();
    return router;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    await router.stop();
    if (code === undefined || error instanceof StoreError) throw databaseProblem(parts, error);
    throw new StartupError(
      'journal',
      `The journal ${data.file('journal')} cannot be used: ${directoryProblem(error)}. ` +
        'Make room on the disk, or let this user write there.',
    );
  }
}

function newHttpServer(
  parts: ServerParts,
  planes: { control: Control; router: Router; moreMetrics: () => string; tracing: Tracing },
): HttpServer {
  const { config, tls, clock, random, log } = parts;
  return createHttpServer({
    ...planes,
    clock,
    random,
    log,
    config: {
      host: config.host,
      port: config.port,
      publicUrl: (port) => publicUrlOf(config, port),
      trustedProxies: config.trustedProxies,
      pin: tls?.selfSigned === true ? tls.pin : null,
      dashboardDir: dashboardDirectory,
      installDir: installDirectory,
      version,
      limits: { drainMs, bodyBytes: config.maxBody },
    },
    notices: () => isolationNotices(config, planes.router),
    tls,
  });
}

/** Until the isolation levels exist, this is true of every shared agent, and it is said. */
export function isolationNotices(
  config: Pick<ServeConfig, 'agent' | 'allowUnsandboxed'>,
  { directory }: { directory: Pick<Router['directory'], 'sharingProjects'> },
): { code: string; message: string }[] {
  const message = 'Shared agents run without a sandbox (isolation: none).';
  const notices = config.agent ? [{ code: 'SharedUnsandboxed', message }] : [];
  const sharing = directory.sharingProjects();
  if (sharing < 2 || config.allowUnsandboxed) return notices;
  const advice =
    `${sharing} projects have shared access to agents that run without a sandbox, and ` +
    '--allow-unsandboxed is not set. Set it, or take shared access away from all but one.';
  return [...notices, { code: 'SharedWithoutConsent', message: advice }];
}

/** Agents that were silent for too long die, about once a minute. */
function keepSweeping(
  parts: ServerParts & { control: Control; router: Router },
  stopped: AbortSignal,
): void {
  const { control, router, clock, log } = parts;
  const jumps = new ClockJumps(clock);
  const sweep = async (): Promise<void> => {
    const linkedAgentIds = router.linkedAgentIds();
    try {
      await control.sweep({ linkedAgentIds, jumps });
      await control.keyUse.flush();
    } catch (error) {
      log.warn({ err: error }, 'the sweep failed and is tried again');
    }
    schedule(sweepIntervalMs);
  };
  const schedule = (delayMs: number): void => {
    // `sweep` catches what can go wrong.
    if (!stopped.aborted) clock.setTimer(delayMs, () => void sweep());
  };
  schedule(firstSweepMs);
}

/** A sentence for what the system says of an address to listen on; undefined for anything else. */
function listenProblem(error: unknown, { host, port }: ServeConfig): StartupError | undefined {
  const { code } = error as NodeJS.ErrnoException;
  const sentences: Record<string, string> = {
    EADDRINUSE:
      `Port ${port} on ${host} is taken by another program. Stop that one, or choose another ` +
      'port with --port N (0 takes a free one).',
    EACCES:
      `This user may not listen on port ${port}. Choose one above 1023 with --port N, or grant ` +
      'the right.',
    EADDRNOTAVAIL: `${host} is not an address of this machine. Choose another with --host ADDRESS.`,
    ENOTFOUND: `This machine does not know the name ${host}. Give an address with --host ADDRESS.`,
  };
  const sentence = code === undefined ? undefined : sentences[code];
  return sentence === undefined ? undefined : new StartupError('listen', sentence);
}
