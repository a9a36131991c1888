/**
 * `npm test`: every `*.test.ts`, with what the tests need from the system brought first. Arguments
 * are passed on to the runner; paths narrow the run (`npm test -- src/protocol/frame.test.ts`).
 */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import path from 'node:path';

const args = process.argv.slice(2);
const paths = args.filter((argument) => !argument.startsWith('-'));
const options = args.filter((argument) => argument.startsWith('-'));
const everything = ['src/**/*.test.ts', 'dashboard/src/**/*.test.ts', 'test/**/*.test.ts'];

/** Each file is a process, and many start others: a quarter of their CPU time went into reading. */
const compiled = path.join(import.meta.dirname, '..', 'build', 'compiled');

const { status } = spawnSync(
  process.execPath,
  [
    '--test',
    // Much of what they do is waiting: for engines, disks, processes and links.
    `--test-concurrency=${availableParallelism() + 1}`,
    '--test-timeout=300000',
    ...options,
    ...(paths.length > 0 ? paths : everything),
  ],
  { stdio: 'inherit', env: { NODE_COMPILE_CACHE: compiled, ...process.env } },
);
process.exitCode = status ?? 1;
