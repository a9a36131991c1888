/**
 * The process of a server: its data directory, its signals, its certificate, what it hands out;
 * then the server itself (`runServer.ts`). It ends within five seconds of being told, whatever
 * hangs.
 */
import path from 'node:path';
import type { CommandContext } from '../../cli/command.ts';
import { systemRandom } from '../../lib/random.ts';
import { userDataDirectory } from '../../lib/files/userDirectories.ts';
import { speaksTls } from './addresses.ts';
import { buildAssets } from './buildAssets.ts';
import { openDataDirectory } from '../firstStart/dataDirectory.ts';
import { hubAddress } from '../process/hubAddress.ts';
import { createLogger } from '../process/logger.ts';
import { createProgressPrinter } from '../process/progressPrinter.ts';
import type { ProgressPrinter } from '../process/progressPrinter.ts';
import { runServer } from './runServer.ts';
import type { ServeConfig } from './serveConfig.ts';
import type { ServerParts } from './server.ts';
import { stopSignals } from '../process/stopSignals.ts';
import { ownNames, ownTls, readGivenTls } from './tls.ts';
import type { ServerTls } from './tls.ts';

/** From the first signal to the end, whatever hangs. */
const hardStopMs = 4_700;
/** What is left to do after an orderly stop, the last lines of the log, takes less than this. */
const lingerMs = 500;

export interface Serving {
  context: CommandContext;
  config: ServeConfig;
  tiers: ServerParts['tiers'];
}

/** Serves until a signal. Returns the exit code; throws a `StartupError` when it cannot start. */
export async function serve({ context, config, tiers }: Serving): Promise<number> {
  const { clock, terminal, env } = context;
  // What its agent would fail of is said before anything is made.
  if (config.agent && config.engineUrl === undefined) hubAddress(env);
  const data = openDataDirectory(config.dataDir ?? userDataDirectory('xim', env));
  const printer = printerOf(context);
  const log = createLogger({ level: config.logLevel, name: 'xim' });
  const signals = stopSignals(clock);
  signals.first.addEventListener('abort', () => {
    printer.line('stopping: what runs has a moment to finish; Ctrl-C again stops at once');
    clock.setTimer(hardStopMs, () => signals.die());
  });
  // The shared agent ends with this process, because its standard input closes.
  signals.second.addEventListener('abort', () => signals.die());
  try {
    const unbuilt = await buildAssets((text) => terminal.note(text), signals.first);
    if (unbuilt !== undefined) printer.line(unbuilt);
    const tls = await tlsOf(config, { data, clock });
    const parts: ServerParts = { config, data, tiers, tls, clock, random: systemRandom, log };
    return await runServer({ context, parts, printer, stop: signals.first });
  } finally {
    data.release();
    // Only a look-up of a name holds a stopped server longer.
    if (signals.first.aborted) clock.setTimer(lingerMs, () => signals.die());
  }
}

function printerOf({ terminal }: CommandContext): ProgressPrinter {
  return createProgressPrinter({
    write: (text) => terminal.note(text),
    terminal: process.stderr.isTTY,
    columns: process.stderr.columns ?? 80,
  });
}

/** The certificate that the configuration asks for; undefined for plain HTTP. */
async function tlsOf(
  config: ServeConfig,
  { data, clock }: Pick<ServerParts, 'data' | 'clock'>,
): Promise<ServerTls | undefined> {
  if (!speaksTls(config)) return undefined;
  if (config.tlsCert !== undefined && config.tlsKey !== undefined) {
    return readGivenTls({
      certFile: path.resolve(config.tlsCert),
      keyFile: path.resolve(config.tlsKey),
    });
  }
  const host = config.publicUrl === undefined ? [] : [new URL(config.publicUrl).hostname];
  const names = [...new Set([...host.map(unbracketed), ...ownNames(config.host)])];
  return ownTls({ directory: data.file('tls'), names, clock });
}

const unbracketed = (host: string): string => host.replace(/^\[(.*)\]$/, '$1');
