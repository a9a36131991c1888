/**
 * `npm run check`: types, lint (with the ratchets on file and function length), format, import
 * rules and the ratchets of `test/tidy.test.ts`. Runs all of them, then exits with the verdict.
 */
import { spawnSync } from 'node:child_process';

const steps: Record<string, string[]> = {
  types: ['tsc', '-p', '.'],
  'types of the dashboard': ['tsc', '-p', 'dashboard'],
  lint: ['oxlint', '--type-aware'],
  format: ['oxfmt', '--check', '.'],
  'import rules and ratchets': [
    'node',
    '--test',
    '--test-reporter=dot',
    'test/deps.test.ts',
    'test/tidy.test.ts',
  ],
};

const failed: string[] = [];
for (const [name, [command, ...args]] of Object.entries(steps)) {
  process.stderr.write(`check: ${name}\n`);
  const { status, error } = spawnSync(command as string, args, { stdio: 'inherit' });
  if (error !== undefined) process.stderr.write(`check: ${command}: ${error.message}\n`);
  if (status !== 0) failed.push(name);
}
process.stderr.write(
  failed.length === 0 ? 'check: passed\n' : `check: failed: ${failed.join(', ')}\n`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
