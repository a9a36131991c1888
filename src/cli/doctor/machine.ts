/** How the doctor reaches a machine: this one, or one of paper in tests. */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, readdir, readFile, stat, statfs } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

/** A tool that hangs costs this long, in ms. */
const commandTimeoutMs = 10_000;
const maxOutputBytes = 1024 * 1024;

export interface Machine {
  /** E.g. `v24.2.0`. */
  nodeVersion: string;
  /** Of the C library; null: another one than glibc. */
  glibcVersion: string | null;
  platform: string;
  arch: string;
  /** Null: the system has no such thing. */
  uid: number | null;
  userName: string;
  memory(): { totalBytes: number; availableBytes: number };
  /** Standard output; undefined when the command is missing, fails or takes too long. */
  command(file: string, args: readonly string[]): Promise<string | undefined>;
  readText(file: string): Promise<string | undefined>;
  list(directory: string): Promise<readonly string[]>;
  /** Of the file system that a directory lies on, or will when it is made. */
  disk(directory: string): Promise<{ freeBytes: number; totalBytes: number } | undefined>;
  /** Undefined: there is none, or it cannot be seen. */
  status(file: string): Promise<{ mode: number; uid: number } | undefined>;
  /** Whether this user may read and write it. */
  mayUse(file: string): Promise<boolean>;
}

/** This one. */
export function thisMachine(): Machine {
  const report = process.report.getReport() as {
    header?: { glibcVersionRuntime?: string };
  };
  return {
    nodeVersion: process.version,
    glibcVersion: report.header?.glibcVersionRuntime ?? null,
    platform: process.platform,
    arch: process.arch,
    uid: process.getuid?.() ?? null,
    userName: os.userInfo().username,
    memory: () => {
      // What the control group allows, where it allows less.
      const allowed = process.constrainedMemory();
      const totalBytes = allowed > 0 ? Math.min(allowed, os.totalmem()) : os.totalmem();
      return { totalBytes, availableBytes: Math.min(totalBytes, process.availableMemory()) };
    },
    command,
    readText: (file) => readFile(file, 'utf8').catch(() => undefined),
    list: (directory) => readdir(directory).catch(() => []),
    disk,
    status: (file) => stat(file).catch(() => undefined),
    mayUse: (file) =>
      access(file, constants.R_OK | constants.W_OK).then(
        () => true,
        () => false,
      ),
  };
}

function command(file: string, args: readonly string[]): Promise<string | undefined> {
  const options = { timeout: commandTimeoutMs, maxBuffer: maxOutputBytes };
  return new Promise((resolve) => {
    execFile(file, [...args], { ...options, killSignal: 'SIGKILL' }, (error, stdout) => {
      resolve(error === null ? stdout : undefined);
    });
  });
}

async function disk(
  directory: string,
): Promise<{ freeBytes: number; totalBytes: number } | undefined> {
  try {
    const { bsize, bavail, blocks } = await statfs(directory);
    return { freeBytes: bsize * bavail, totalBytes: bsize * blocks };
  } catch {
    const above = path.dirname(directory);
    return above === directory ? undefined : disk(above);
  }
}
