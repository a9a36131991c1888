/**
 * `npm run proofs -- NAME`: one long proof out of `test/proofs/`. It prints its figures as one line
 * of JSON on stdout and exits with the verdict. `npm test` runs a short version of each.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

/** What a proof module exports. */
interface Proof {
  /** Runs it; `passed` is the verdict, the rest are its figures. */
  prove(args: string[]): Promise<{ passed: boolean } & Record<string, unknown>>;
}

const folder = path.join(import.meta.dirname, '..', 'test', 'proofs');
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
  .map((file) => file.slice(0, -'.ts'.length));

const [name, ...args] = process.argv.slice(2);
if (name === undefined || !names.includes(name)) {
  process.stderr.write(
    `proofs: ${name === undefined ? 'which one?' : `there is no proof "${name}".`} ` +
      `Known: ${names.join(', ')}.\n`,
  );
  process.exitCode = 2;
} else {
  const proof = (await import(pathToFileURL(path.join(folder, `${name}.ts`)).href)) as Proof;
  const result = await proof.prove(args);
  process.stdout.write(`${JSON.stringify({ proof: name, ...result })}\n`);
  process.exitCode = result.passed ? 0 : 1;
}
