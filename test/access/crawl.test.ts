/**
 * A crawl of the running server with mutated paths: whatever it answers as something that is there
 * is a row of the route table (C3). What the table means is spelled out here a second time, as one
 * pattern per row, so that a mistake of the matcher is none of the oracle's.
 */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { routes } from '../../src/api/routes.ts';
import { reservedSlugs } from '../../src/lib/text/slug.ts';
import type { Router } from '../../src/router/router.ts';
import { inviteCast, type Cast } from '../../src/testing/cast.ts';
import { openPlatformHarness, type HttpHarness } from '../../src/testing/http/httpHarness.ts';

const mutations = 1_000;

let harness: HttpHarness<Router>;
let cast: Cast;
const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
before(async () => {
  harness = await openPlatformHarness();
  cast = await inviteCast(harness, { base: harness.base });
  await mkdir(harness.dashboardDir, { recursive: true });
  await writeFile(path.join(harness.dashboardDir, 'index.html'), '<!doctype html><p>dashboard');
  await writeFile(path.join(harness.dashboardDir, '..', 'secret.txt'), 'the secret beside it');
});
after(async () => {
  agent.destroy();
  await harness.close();
});

/** One pattern per row: `{name}` is one segment that is not empty, `{rest*}` all that follows. */
const patterns = routes.map(({ method, path: row }) => {
  const source = row
    .split('/')
    .map((segment) => {
      if (/^\{\w+\*\}$/.test(segment)) return '.*';
      if (/^\{\w+\}$/.test(segment)) return '[^/]+';
      return segment.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
    })
    .join('/');
  return { method, shape: new RegExp(`^${source}$`, 's') };
});

const strangeWords = (
  'admin .env .git/config debug actuator swagger.json graphql v2 index.html ' +
  String.raw`.. . %2e%2e %00 %2f % %zz ~ ; * \ #`
).split(' ');

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;

/** A row's path with names filled in, and then spoilt in one to three ways. */
const spoilt = fc
  .tuple(
    fc.constantFrom(...routes),
    fc.array(
      fc.record({
        how: fc.constantFrom(
          ...(['insert', 'drop', 'double', 'swap', 'case', 'escape', 'cut', 'append'] as const),
        ),
        at: fc.nat(20),
        word: fc.constantFrom(...strangeWords),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    fc.constantFrom(...methods),
  )
  .map(([row, steps, method]) => {
    const filled = row.path
      .replaceAll('{project}', 'alpha')
      .replaceAll('{rest*}', 'assets/app.js')
      .replaceAll(/\{\w+\}/g, 'thing');
    const segments = steps.reduce(spoil, filled.split('/').slice(1));
    return { method: steps.length === 1 ? row.method : method, target: `/${segments.join('/')}` };
  });

function spoil(
  segments: readonly string[],
  { how, at, word }: { how: string; at: number; word: string },
): string[] {
  const index = at % Math.max(1, segments.length);
  const one = segments[index] ?? '';
  switch (how) {
    case 'insert':
      return segments.toSpliced(index, 0, word);
    case 'drop':
      return segments.toSpliced(index, 1);
    case 'double':
      return segments.toSpliced(index, 0, one);
    case 'swap':
      return segments.toSpliced(index, 1, word);
    case 'case':
      return segments.toSpliced(index, 1, one.toUpperCase());
    case 'escape':
      return segments.toSpliced(index, 1, one.replace(/^./, escaped));
    case 'cut':
      return segments.toSpliced(index, 1, one.slice(0, -1));
    default:
      return [...segments, ''];
  }
}

const escaped = (character: string): string =>
  `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`;

interface Answer {
  status: number;
  text: string;
}

function ask(call: { method: string; target: string }, headers: object): Promise<Answer> {
  const { port } = harness;
  return new Promise((resolve, reject) => {
    const { method, target } = call;
    const body = method === 'GET' || method === 'HEAD' ? '' : '{}';
    const framed = { ...headers, 'content-length': body.length };
    const options = { port, method, path: target, headers: framed, agent };
    const request = http.request(options, (response) => {
      let text = '';
      const done = (): void => resolve({ status: response.statusCode ?? 0, text });
      if (response.headers['content-type']?.startsWith('text/event-stream') === true) {
        request.destroy();
        done();
        return;
      }
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      response.on('end', done);
    });
    request.on('error', (error) => reject(new Error(`${method} ${target}: ${error.message}`)));
    request.end(body);
  });
}

/** What the table says of an address. */
function expected({ method, target }: { method: string; target: string }): string {
  const fitting = patterns.filter(({ shape }) => shape.test(target));
  if (fitting.length === 0) return 'unknown';
  return fitting.some((row) => row.method === method) ? 'row' : 'method';
}

/**
 * Addresses that fit a row and may be nothing all the same: literals win over names and there is no
 * way back, so that a name which is a word of ours leads nowhere; and a file may not be there.
 */
function mayBeNothing(target: string): boolean {
  const isFile = target.startsWith('/ui/') || target.startsWith('/install');
  return isFile || target.split('/').filter((part) => reservedSlugs.has(part)).length > 1;
}

function got({ status, text }: Answer): string {
  if (status === 404 && text.includes('"unknown_url"')) return 'unknown';
  if (status === 405) return 'method';
  if (status === 400 && text.includes('"malformed_request"')) return 'malformed';
  return 'row';
}

test('a path that no row names is answered as if there were something', async () => {
  const seed = Date.now() % 2 ** 31;
  const calls = fc.sample(spoilt, { numRuns: mutations, seed });
  const callers = [await cast.callers.admin(), await cast.callers.managementKey()];
  for (const [at, call] of calls.entries()) {
    const answer = await ask(call, callers[at % callers.length] ?? {});
    const where = `seed ${seed}: ${call.method} ${call.target} → ${answer.status} ${answer.text}`;
    assert.ok(answer.status < 500 || answer.text.includes('no_agent_available'), where);
    assert.ok(!answer.text.includes('the secret beside it'), where);
    const [wanted, seen] = [expected(call), got(answer)];
    // HEAD has no body to tell one 404 from another.
    if (call.method === 'HEAD' && seen === 'row' && answer.status >= 400) continue;
    // Segments that no client keeps, or that mean nothing.
    if (seen === 'malformed' && /%|\/\.{1,2}(\/|$)/.test(call.target)) continue;
    if (seen === 'unknown' && wanted !== 'unknown' && mayBeNothing(call.target)) continue;
    assert.equal(seen, wanted, where);
  }
});
