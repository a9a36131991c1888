import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { test } from 'node:test';

/** A process that logs to its standard error, as the product's processes do. */
function logging(program: string): ReturnType<typeof spawn> {
  const logger = path.join(import.meta.dirname, 'logger.ts');
  const whole = `import { createLogger } from ${JSON.stringify(logger)};
    const log = createLogger({ level: 'info', name: 'test' });
    ${program}`;
  return spawn(process.execPath, ['--input-type=module', '-e', whole], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

/** How it ended, and what it wrote. */
async function ended(
  child: ReturnType<typeof spawn>,
): Promise<{ code: number | null; signal: string | null; err: string[] }> {
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (part: string) => (text += part));
  const force = setTimeout(() => child.kill('SIGKILL'), 10_000);
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  clearTimeout(force);
  return { code, signal, err: text.split('\n').filter((line) => line !== '') };
}

test('a process whose log nobody reads any more never ends', async () => {
  for (const end of ['process.exit(3);', "throw new Error('a bug');", 'process.exitCode = 3;']) {
    const child = logging(`
      process.stdout.write('up');
      process.stdin.once('end', () => { log.warn({}, 'last words'); ${end} }).resume();`);
    assert.ok(child.stdout !== null && child.stderr !== null && child.stdin !== null);
    await once(child.stdout, 'data');
    child.stderr.destroy();
    child.stdin.end();
    const force = setTimeout(() => child.kill('SIGKILL'), 10_000);
    const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
    clearTimeout(force);
    assert.equal(signal, null, end);
  }
});

test('the last lines of a log are lost at an exit', async () => {
  for (const end of ['process.exit(3);', 'process.exitCode = 3;']) {
    const child = logging(`for (let n = 0; n < 50; n += 1) log.warn({ n }, 'line'); ${end}`);
    const { code, err } = await ended(child);
    assert.equal(code, 3);
    assert.deepEqual(
      err.map((line) => (JSON.parse(line) as { n: number }).n),
      Array.from({ length: 50 }, (_, n) => n),
    );
  }
});

test('a log that nobody reads for a while stops the process, or loses order', async () => {
  const child = logging(`
    const long = 'x'.repeat(1000);
    for (let n = 0; n < 2000; n += 1) log.warn({ n, long }, 'line');
    let turns = 0;
    const turn = () => {
      turns += 1;
      if (turns === 5) process.stdout.write('alive');
      else setTimeout(turn, 50);
    };
    turn();`);
  assert.ok(child.stdout !== null);
  // It lives, although two megabytes of its log wait for us.
  assert.equal(String(await once(child.stdout, 'data')), 'alive');
  const { code, err } = await ended(child);
  assert.equal(code, 0);
  assert.deepEqual(
    err.map((line) => (JSON.parse(line) as { n: number }).n),
    Array.from({ length: 2000 }, (_, n) => n),
  );
});
