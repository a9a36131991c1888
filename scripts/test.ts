/**
 * `npm test`: every `*.test.ts`, with what the tests need from the system brought first. Arguments
 * are passed on to the runner; paths narrow the run (`npm test -- src/protocol/frame.test.ts`).
 */
import { spawnSync } from 'node:child_process';

const args = process.argv.slice(2);
const paths = args.filter((argument) => !argument.startsWith('-'));
const options = args.filter((argument) => argument.startsWith('-'));
const everything = ['src/**/*.test.ts', 'dashboard/src/**/*.test.ts', 'test/**/*.test.ts'];

const { status } = spawnSync(
  process.execPath,
  [
    '--test',
    '--test-concurrency=2',
    '--test-timeout=300000',
    ...options,
    ...(paths.length > 0 ? paths : everything),
  ],
  { stdio: 'inherit' },
);
process.exitCode = status ?? 1;
