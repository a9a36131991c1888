/**
 * The process of an agent: the composition root of an agent. Builds the engine and the model cache
 * that the configuration asks for, runs the agent until it is told to stop, tells its progress.
 */
import path from 'node:path';
import { createAgent } from '../../agent/agent.ts';
import type { AgentEnd, AgentParts } from '../../agent/agent.ts';
import type { AgentEvent } from '../../agent/agentEvent.ts';
import type { Engine, ModelEnsurer } from '../../agent/engines/engine.ts';
import { UrlEngine } from '../../agent/engines/url.ts';
import { parseEngineUrl } from '../../agent/engines/urlAddress.ts';
import { openModelCache } from '../../agent/models/modelCache.ts';
import type { CommandContext } from '../../cli/command.ts';
import { exitCodes } from '../../cli/exitCodes.ts';
import type { Logger } from '../../lib/log.ts';
import { systemRandom } from '../../lib/random.ts';
import { userDataDirectory } from '../../lib/files/userDirectories.ts';
import type { AgentConfig } from './agentConfig.ts';
import type { AgentProcessEvent } from './agentEvents.ts';
import { llamaLoader } from './embeddedRuntime.ts';
import { keepEngine, withKeptEngine } from './keptEngine.ts';
import { hubAddress } from '../process/hubAddress.ts';
import { createLogger } from '../process/logger.ts';
import { createProgressPrinter } from '../process/progressPrinter.ts';
import { StartupError } from '../process/startupError.ts';
import { closeOfStdin, firstLineOfStdin } from '../process/stdin.ts';
import { stopSignals } from '../process/stopSignals.ts';
import { version } from '../process/version.ts';

/** After the parent has gone or a second signal, the process ends within this, whatever hangs. */
const hardStopMs = 5_000;
/** What is left to do after an orderly stop, the last lines of the log, takes less than this. */
const lingerMs = 1_000;

/**
 * Runs until it is told to stop, or cannot go on. Returns the exit code; throws a `StartupError`
 * when it cannot start, after having told whoever reads its events.
 */
export async function agentProcess(context: CommandContext, config: AgentConfig): Promise<number> {
  const onEvent = eventPrinter(context, config);
  try {
    const end = await runAgent({ context, config, onEvent });
    if (end.kind === 'stopped') return exitCodes.done;
    if (end.kind === 'unusable') throw new StartupError('data_directory', end.message);
    onEvent({ kind: 'refused', message: end.message });
    return exitCodes.refused;
  } catch (error) {
    if (!(error instanceof StartupError) || !config.events) throw error;
    onEvent({ kind: 'unable', message: error.message });
    return error.exitCode;
  }
}

/** Events go to a program as JSON lines, or to a person. */
function eventPrinter(
  { terminal }: CommandContext,
  { events }: AgentConfig,
): (event: AgentProcessEvent) => void {
  if (events) return (event) => terminal.out(`${JSON.stringify(event)}\n`);
  const printer = createProgressPrinter({
    write: (text) => terminal.note(text),
    terminal: process.stderr.isTTY,
    columns: process.stderr.columns ?? 80,
  });
  return (event) => printer.event(event);
}

interface RunParts {
  context: CommandContext;
  config: AgentConfig;
  onEvent: (event: AgentEvent) => void;
  /** Aborted when the agent is told to stop, also where what runs may finish. */
  ending: AbortSignal;
}

async function runAgent(given: Omit<RunParts, 'ending'>): Promise<AgentEnd> {
  const { context } = given;
  const ending = new AbortController();
  const { clock, terminal } = context;
  const log = createLogger({ level: given.config.logLevel, name: 'xim-agent' });
  const home = context.env['XIM_HOME'] || userDataDirectory('xim-agent', context.env);
  const stateDir = path.resolve(given.config.stateDir ?? path.join(home, 'state'));
  const config = await withKeptEngine(given.config, stateDir);
  const onEvent = (event: AgentEvent): void => {
    // The state directory is there, and ours.
    if (event.kind === 'linked') keep(config, { stateDir, log });
    given.onEvent(event);
  };
  const parts = { context, config, onEvent };
  const agent = createAgent({
    config: {
      serverUrl: config.server ?? null,
      pin: config.pin ?? null,
      joinKey: await joinKeyOf(config, terminal),
      stateDir,
      name: config.name ?? null,
      agentVersion: version,
      storageLimitBytes: config.storageLimit ?? null,
    },
    ...(await engineParts({ ...parts, ending: ending.signal }, { home, stateDir, log })),
    clock,
    random: systemRandom,
    log,
    onEvent,
  });
  const stopping = new AbortController();
  const cut = (): void => {
    ending.abort();
    stopping.abort();
    // The timer alone keeps nothing alive; it only ends what would hang.
    clock.setTimer(hardStopMs, () => process.kill(process.pid, 'SIGKILL'));
  };
  const signals = stopSignals(clock);
  signals.first.addEventListener('abort', () => {
    if (!config.events) terminal.note('finishing what runs; Ctrl-C again stops at once\n');
    ending.abort();
    agent.drain();
  });
  signals.second.addEventListener('abort', cut);
  if (config.parentStdin) closeOfStdin(cut);
  const end = await agent.run(stopping.signal);
  // Only a look-up of a name holds a stopped agent longer.
  if (end.kind === 'stopped') clock.setTimer(lingerMs, () => signals.die());
  return end;
}

/** Not awaited: a full disk keeps no agent from serving. */
function keep(config: AgentConfig, { stateDir, log }: { stateDir: string; log: Logger }): void {
  keepEngine(config, { stateDir, random: systemRandom }).catch((error: unknown) => {
    log.warn({ err: error }, 'which engine to attach is not kept for the next start');
  });
}

async function joinKeyOf(
  config: AgentConfig,
  terminal: CommandContext['terminal'],
): Promise<string | null> {
  if (config.joinKey !== undefined) {
    terminal.note(
      'Warning: --join-key shows the key to everybody on this machine (process lists); ' +
        'give it in ' +
        'XIM_JOIN_KEY or with --join-key-stdin.\n',
    );
    return config.joinKey.trim();
  }
  if (config.joinKeyStdin) return firstLineOfStdin();
  return config.joinKeyVariable?.trim() ?? null;
}

interface Places {
  home: string;
  stateDir: string;
  log: Logger;
}

/** The engine that the configuration asks for, and the model cache where it needs one. */
async function engineParts(
  { context, config, onEvent, ending }: RunParts,
  places: Places,
): Promise<{
  createEngine: AgentParts['createEngine'];
  models: ModelEnsurer | null;
}> {
  const { clock } = context;
  const random = systemRandom;
  if (config.engineUrl !== undefined) {
    return { createEngine: ({ log }) => urlEngine(config, { clock, random, log }), models: null };
  }
  const { createEmbeddedEngine } = await import('../../agent/engines/embedded.ts');
  const directory = path.join(places.home, 'runtime');
  const loadLlama = llamaLoader({ directory, onEvent, stopped: ending });
  return {
    createEngine: ({ log, engineLine }) => {
      const tools = { loadLlama, clock, random, log, engineLine };
      return withSlots(createEmbeddedEngine(tools), config.slots);
    },
    models: await modelCacheOf({ context, config, onEvent, ending }, places),
  };
}

/** Bounds the slots that an engine of ours decides on; 0 leaves them to it. */
function withSlots(engine: Engine, slots: number): Engine {
  const load = engine.load.bind(engine);
  engine.load = (request, options) => {
    const bounds = [slots, request.maxSlots].filter((bound) => bound > 0);
    return load({ ...request, maxSlots: bounds.length === 0 ? 0 : Math.min(...bounds) }, options);
  };
  return engine;
}

const slotsOf = ({ slots }: AgentConfig): number | null => (slots === 0 ? null : slots);

function urlEngine(
  config: AgentConfig,
  tools: Pick<ConstructorParameters<typeof UrlEngine>[0], 'clock' | 'random' | 'log'>,
): Engine {
  const parsed = parseEngineUrl(config.engineUrl ?? '');
  if (parsed.kind === 'invalid') throw new StartupError('usage', parsed.message);
  const serve = config.serve.map((pair): [string, string] => {
    const at = pair.indexOf('=');
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  return new UrlEngine({
    address: parsed.address,
    apiKey: config.engineKey ?? null,
    serve: new Map(serve),
    slots: slotsOf(config),
    ...tools,
  });
}

async function modelCacheOf(
  { context, config, onEvent }: RunParts,
  { stateDir, log }: Places,
): Promise<ModelEnsurer> {
  const opened = await openModelCache({
    dir: path.resolve(config.modelCache ?? path.join(stateDir, '..', 'models')),
    hubUrl: hubAddress(context.env),
    allowedPaths: config.allowModelDir.map((directory) => path.resolve(directory)),
    allowPrivateAddresses: config.allowPrivateAddresses,
    python: 'python3',
    clock: context.clock,
    random: systemRandom,
    log,
    onAttempt: (model, { source, result }) => {
      onEvent({ kind: 'note', message: `${model}, ${source}: ${result}` });
    },
  });
  if (opened.kind === 'open') return opened.cache;
  throw new StartupError('data_directory', opened.message);
}
