/**
 * A server's life, once its surroundings are there: platform, planes, shared agent, the word that
 * it is ready, and the orderly end.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { CommandContext } from '../../cli/command.ts';
import type { Credentials } from '../../cli/serverContext.ts';
import { exitCodes } from '../../cli/exitCodes.ts';
import { defaultEndpointSlug, defaultProjectSlug } from '../../control/platform/bootstrap.ts';
import type { ModelWish } from '../../control/platform/bootstrap.ts';
import { shellQuote } from '../../api/joinCommand.ts';
import { userDataDirectory } from '../../lib/files/userDirectories.ts';
import { StoreError } from '../../store/storeError.ts';
import { localUrlOf, publicUrlOf } from './addresses.ts';
import { announceJson, announceText } from './announce.ts';
import type { Announcement } from './announce.ts';
import { engineModels } from '../firstStart/attachedEngine.ts';
import { credentialsFile } from '../firstStart/credentialsFile.ts';
import type { CredentialsFile } from '../firstStart/credentialsFile.ts';
import { engineModelWish, modelWishOf } from '../firstStart/modelWish.ts';
import { watchModel } from '../firstStart/modelWatch.ts';
import type { ModelOutcome } from '../firstStart/modelWatch.ts';
import { openPlatform } from '../firstStart/platform.ts';
import type { Platform } from '../firstStart/platform.ts';
import type { ProgressPrinter } from '../process/progressPrinter.ts';
import { databaseProblem, isolationNotices, openControlPlane, startServer } from './server.ts';
import type { ControlPlane, RunningServer, ServerParts } from './server.ts';
import type { FoundCredentials, ServerUrls } from '../firstStart/settledCredentials.ts';
import { createSharedAgent } from '../firstStart/sharedAgent.ts';
import type { JoinKeyOutcome, SharedAgent } from '../firstStart/sharedAgent.ts';
import type { ServeConfig } from './serveConfig.ts';
import { StartupError } from '../process/startupError.ts';

/** A join key with less life than this left is not given to an agent that starts now, in ms. */
const firstKeyMarginMs = 60_000;

export interface RunServerParts {
  context: CommandContext;
  parts: ServerParts;
  printer: ProgressPrinter;
  /** Aborted when the server is to stop. */
  stop: AbortSignal;
}

/** Serves until it is told to stop. Returns the exit code; throws a `StartupError` before that. */
export async function runServer(run: RunServerParts): Promise<number> {
  const { parts, stop } = run;
  const file = credentialsFile(parts.data.path);
  const plane = await openControlPlane(parts);
  const platform = await openedPlatform(run, { file, plane });
  if (stop.aborted) {
    await plane.store.close();
    return exitCodes.done;
  }
  const server = await startServer(parts, plane);
  for (const { message } of isolationNotices(parts.config, server.router))
    run.printer.line(message);
  const keys = withUrls(run, { file, platform, server });
  const { agent, outcome } = startAgent(run, { plane, platform, server });
  const model = await outcome;
  if (model.kind !== 'stopped') {
    announce(run, { file, keys, server, model });
    await new Promise<void>((resolve) => {
      stop.addEventListener('abort', () => resolve(), { once: true });
      if (stop.aborted) resolve();
    });
  }
  await server.drain();
  await Promise.all([agent?.stop(), server.stop()]);
  return exitCodes.done;
}

/** Throws a `StartupError`; the store is closed then. */
async function openedPlatform(
  run: RunServerParts,
  { file, plane }: { file: CredentialsFile; plane: ControlPlane },
): Promise<Platform> {
  const { parts, printer } = run;
  try {
    return await openPlatform({
      control: plane.control,
      file,
      wish: await wishOf(run),
      adminEmail: parts.config.adminEmail,
      urls: urlsOf(parts, publicUrlOf(parts.config, parts.config.port)),
      renewCredentials: parts.config.newCredentials,
      note: (text) => printer.line(text),
    });
  } catch (error) {
    await plane.store.close();
    throw databaseProblem(parts, error);
  }
}

/** What `--model` and `--engine-url` ask for; undefined: what is there, else the default. */
async function wishOf({
  context,
  parts,
  printer,
  stop,
}: RunServerParts): Promise<ModelWish | undefined> {
  const { model, engineUrl } = parts.config;
  if (engineUrl === undefined) return model === undefined ? undefined : modelWishOf(model);
  if (model !== undefined) return engineModelWish(model);
  const apiKey = context.env['XIM_ENGINE_KEY'];
  const found = await engineModels(engineUrl, { apiKey, stop });
  if (stop.aborted) return undefined;
  const [first, ...others] = found ?? [];
  if (first === undefined) {
    printer.line(`The engine at ${engineUrl} names no model yet; it is asked on.`);
    return undefined;
  }
  if (others.length > 0) {
    printer.line(`The engine has ${others.length + 1} models; ${first} is served (see --model).`);
  }
  return engineModelWish(first);
}

function urlsOf({ tls }: ServerParts, publicUrl: string): ServerUrls {
  return {
    server: publicUrl,
    pin: tls?.selfSigned === true ? tls.pin : null,
    base_url: `${publicUrl}/${defaultProjectSlug}/${defaultEndpointSlug}/v1`,
    dashboard_url: `${publicUrl}/ui/`,
  };
}

function withUrls(
  run: RunServerParts,
  { file, platform, server }: { file: CredentialsFile; platform: Platform; server: RunningServer },
): FoundCredentials {
  const { keys } = platform;
  if (keys.credentials === undefined) return keys;
  const current = { ...keys.credentials, ...urlsOf(run.parts, server.publicUrl) };
  updateFile(run, file, current);
  return { credentials: current };
}

/** A file that cannot be written is no reason to stop serving: it is said. */
function updateFile(
  { printer }: RunServerParts,
  file: CredentialsFile,
  credentials: Credentials,
): void {
  try {
    file.update(credentials);
  } catch (error) {
    if (!(error instanceof StartupError)) throw error;
    printer.line(error.message);
  }
}

/** How to go on without the model. An attached engine may come up later. */
function withAdvice(outcome: ModelOutcome, { engineUrl }: ServeConfig): ModelOutcome {
  if (outcome.kind !== 'without') return outcome;
  const { reason, fault } = outcome;
  const said = (advice: string): ModelOutcome => ({ ...outcome, reason: `${reason}\n${advice}` });
  if (engineUrl !== undefined) {
    return said(
      'Start the engine, give another with --engine-url URL, or serve a file with --model FILE.',
    );
  }
  switch (fault) {
    case 'unfetched':
      return said('Give a GGUF file with --model FILE, or attach an engine with --engine-url URL.');
    case 'unloadable':
      return said(
        'The file is cut off, damaged or of a kind that the engine does not know. Serve another ' +
          'with --model FILE, or attach an engine with --engine-url URL.',
      );
    default:
      return outcome;
  }
}

interface AgentSurroundings {
  plane: ControlPlane;
  platform: Platform;
  server: RunningServer;
}

function startAgent(
  { parts, printer, stop, context }: RunServerParts,
  around: AgentSurroundings,
): { agent: SharedAgent | undefined; outcome: Promise<ModelOutcome> } {
  const { config, clock, random } = parts;
  const { platform, server } = around;
  if (!config.agent) {
    const reason =
      'There is no shared agent on this machine: the server was started with --no-agent.';
    return { agent: undefined, outcome: Promise.resolve({ kind: 'without', reason }) };
  }
  const watch = watchModel({
    granted: () =>
      server.router
        .agents()
        .some(({ instances }) => instances.some(({ modelId }) => modelId === platform.model?.id)),
    clock,
    stopped: stop,
  });
  const agent = createSharedAgent({
    args: agentArguments(parts, around),
    joinKey: () => joinKeyFor(parts, around),
    onEvent: (event) => {
      if (!stop.aborted) printer.event(event);
      watch.event(event);
    },
    onLog: (text) => context.terminal.note(text),
    clock,
    random,
  });
  // It never rejects.
  void agent.run().then(() => watch.ended());
  return { agent, outcome: watch.outcome.then((outcome) => withAdvice(outcome, config)) };
}

function agentArguments(
  { config, data, tls }: ServerParts,
  { platform, server }: AgentSurroundings,
): string[] {
  const source = platform.model?.source ?? '';
  const flags: Record<string, string | undefined> = {
    '--server': localUrlOf(config, server.port),
    '--pin': tls?.pin,
    '--state-dir': data.file('agent'),
    '--model-cache': path.resolve(config.modelCache ?? data.file('models')),
    '--engine': config.engineUrl === undefined ? 'embedded' : 'url',
    '--engine-url': config.engineUrl,
    '--slots': String(config.slots),
    '--allow-model-dir': source.startsWith('file:') ? source.slice('file:'.length) : undefined,
    // What the agent would warn of it also tells as events, which are printed as sentences.
    '--log-level': config.logLevel === 'warn' ? 'error' : config.logLevel,
  };
  const given = Object.entries(flags).flatMap(([flag, value]) =>
    value === undefined ? [] : [flag, value],
  );
  return [...given, '--events', '--parent-stdin'];
}

/**
 * Only an agent that has not enrolled yet, or was removed since, needs one; the first start has
 * made it already.
 */
async function joinKeyFor(
  { data, clock }: ServerParts,
  { plane, platform }: AgentSurroundings,
): Promise<JoinKeyOutcome> {
  try {
    const enrolled = enrolledAgent(data.file('agent', 'agent.json'));
    if (enrolled !== undefined && (await plane.control.hasLivingAgent(enrolled))) {
      return { kind: 'not_needed' };
    }
    const first = platform.firstJoinKey;
    if (first !== undefined && first.expiresAtMs - clock.now() > firstKeyMarginMs) {
      return { kind: 'key', text: first.text };
    }
    const made = await plane.control.newPlatformJoinKey({ tier: platform.tier });
    return { kind: 'key', text: made.text };
  } catch (error) {
    if (error instanceof StoreError) return { kind: 'unavailable', why: error.message };
    throw error;
  }
}

/** The id in an agent's state file; undefined when it has never enrolled. */
function enrolledAgent(stateFile: string): string | undefined {
  try {
    const state = JSON.parse(readFileSync(stateFile, 'utf8')) as {
      enrolment?: { agentId?: string } | null;
    };
    return state.enrolment?.agentId;
  } catch {
    return undefined;
  }
}

interface Ready {
  file: CredentialsFile;
  keys: FoundCredentials;
  server: RunningServer;
  model: Exclude<ModelOutcome, { kind: 'stopped' }>;
}

/** Says that the server is ready; the one-time password is forgotten with it. */
function announce(run: RunServerParts, ready: Ready): void {
  const { context, parts } = run;
  const { file, keys, server, model } = ready;
  const { credentials } = keys;
  const { config, data, tls } = parts;
  const urls = urlsOf(parts, server.publicUrl);
  const announcement: Announcement = {
    credentials,
    keysLost: keys.why ?? null,
    project: defaultProjectSlug,
    endpoint: defaultEndpointSlug,
    baseUrl: urls.base_url,
    dashboardUrl: urls.dashboard_url,
    admin: {
      email: credentials?.admin.email ?? config.adminEmail,
      password: credentials?.admin.password ?? null,
    },
    model: model.kind === 'ready' ? model.model : null,
    modelError: model.kind === 'ready' ? null : model.reason,
    joinHint: joinHint(context, data.path),
    pin: tls?.selfSigned === true ? tls.pin : null,
    pid: process.pid,
  };
  context.terminal.out(config.json ? announceJson(announcement) : announceText(announcement));
  if (credentials?.admin.password !== undefined) {
    updateFile(run, file, { ...credentials, admin: { email: credentials.admin.email } });
  }
}

function joinHint({ env }: CommandContext, directory: string): string {
  const usual = directory === userDataDirectory('xim', env);
  return `bin/xim join-keys create${usual ? '' : ` --data-dir ${shellQuote(directory)}`}`;
}
