/**
 * The process of a server: its data directory, its signals, its certificate, what it hands out;
 * then the server itself (`runServer.ts`). It ends within five seconds of being told, whatever
 * hangs.
 */
import path from 'node:path';
import type { CommandContext } from '../cli/command.ts';
import { exitCodes } from '../cli/exitCodes.ts';
import { systemRandom } from '../lib/random.ts';
import { userDataDirectory } from '../lib/userDirectories.ts';
import { speaksTls } from './addresses.ts';
import { buildAssets } from './buildAssets.ts';
import { openDataDirectory } from './dataDirectory.ts';
import { createLogger } from './logger.ts';
import { createProgressPrinter } from './progressPrinter.ts';
import type { ProgressPrinter } from './progressPrinter.ts';
import { runServer } from './runServer.ts';
import type { ServeConfig } from './serveConfig.ts';
import type { ServerParts } from './server.ts';
import { stopSignals } from './stopSignals.ts';
import { ownNames, ownTls, readGivenTls } from './tls.ts';
import type { ServerTls } from './tls.ts';

const hardStopMs = 4_700;
/** As a shell says it of a process that an interrupt has ended. */
const interruptedCode = 130;

export interface Serving {
  context: CommandContext;
  config: ServeConfig;
  tiers: ServerParts['tiers'];
}

/** Serves until a signal. Returns the exit code; throws a `StartupError` when it cannot start. */
export async function serve({ context, config, tiers }: Serving): Promise<number> {
  const { clock, terminal, env } = context;
  const data = openDataDirectory(config.dataDir ?? userDataDirectory('xim', env));
  const printer = printerOf(context);
  const log = createLogger({ level: config.logLevel, name: 'xim' });
  const signals = stopSignals(clock);
  signals.first.addEventListener('abort', () => {
    printer.line('stopping: what runs has a moment to finish; Ctrl-C again stops at once');
    clock.setTimer(hardStopMs, () => process.exit(exitCodes.failed));
  });
  // The shared agent ends with this process, because its standard input closes.
  signals.second.addEventListener('abort', () => process.exit(interruptedCode));
  const unbuilt = await buildAssets((text) => terminal.note(text));
  if (unbuilt !== undefined) printer.line(unbuilt);
  const tls = await tlsOf(config, { data, clock });
  const parts: ServerParts = { config, data, tiers, tls, clock, random: systemRandom, log };
  try {
    return await runServer({ context, parts, printer, stop: signals.first });
  } finally {
    data.release();
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
