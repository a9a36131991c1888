import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { openHttpHarness, type HttpHarness } from '../../testing/http/httpHarness.ts';

let harness: HttpHarness;
before(async () => {
  harness = await openHttpHarness();
});
after(() => harness.close());

const page = '<!doctype html><title>XIM</title>';
const tarball = Buffer.alloc(1_000_003, 'x');

function codeOf(json: unknown): unknown {
  return (json as { error: { code: unknown } }).error.code;
}

async function build(): Promise<void> {
  const { dashboardDir, installDir } = harness;
  await mkdir(path.join(dashboardDir, 'assets'), { recursive: true });
  await writeFile(path.join(dashboardDir, 'index.html'), page);
  await writeFile(path.join(dashboardDir, 'assets', 'app-1a2b.js'), 'plain');
  await writeFile(path.join(dashboardDir, 'assets', 'app-1a2b.js.br'), 'packed');
  await writeFile(path.join(dashboardDir, '.secret.txt'), 'secret');
  await writeFile(path.join(dashboardDir, '..', 'outside.txt'), 'secret');
  await mkdir(installDir, { recursive: true });
  await writeFile(path.join(installDir, 'xim.tgz'), tarball);
  const sha256 = createHash('sha256').update(tarball).digest('hex');
  const about = { version: '0.0.0-test', sha256, bytes: tarball.length };
  await writeFile(path.join(installDir, 'xim.json'), JSON.stringify(about));
}

test('files that are not built, and an answer that does not say so', async () => {
  for (const target of ['/ui/', '/install.sh', '/install/xim.tgz']) {
    const reply = await harness.call('GET', target);
    assert.equal(reply.status, 404, target);
    assert.match((reply.json as { error: { message: string } }).error.message, /npm run build/);
  }
});

test('a page that may be framed, run foreign scripts, or is kept when it has changed', async () => {
  await build();
  const reply = await harness.call('GET', '/ui/');
  assert.equal(reply.status, 200);
  assert.equal(reply.text, page);
  assert.equal(reply.headers['content-type'], 'text/html; charset=utf-8');
  const policy = String(reply.headers['content-security-policy']);
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /frame-ancestors 'none'/);
  assert.doesNotMatch(policy, /unsafe|\*/);
  assert.equal(reply.headers['x-content-type-options'], 'nosniff');
  assert.equal(reply.headers['referrer-policy'], 'no-referrer');
  assert.equal(reply.headers['cache-control'], 'no-cache');
  const headers = { 'if-none-match': String(reply.headers.etag) };
  assert.equal((await harness.call('GET', '/ui/', { headers })).status, 304);
});

test('a view of the application that cannot be opened by its address', async () => {
  for (const target of ['/ui/agents', '/ui/agents/a%20b?tab=log', '/ui/models/llama-3.1']) {
    const reply = await harness.call('GET', target);
    assert.deepEqual([reply.status, reply.text], [200, page], target);
  }
  const missing = await harness.call('GET', '/ui/assets/gone-9f.js');
  assert.deepEqual([missing.status, codeOf(missing.json)], [404, 'unknown_url']);
});

test('the start of the site, and who asks with HEAD', async () => {
  for (const target of ['/', '/ui']) {
    const reply = await harness.call('GET', target);
    assert.deepEqual([reply.status, reply.headers.location], [302, '/ui/']);
  }
  const head = await harness.call('HEAD', '/ui/');
  assert.deepEqual([head.status, head.text], [200, '']);
  assert.equal(head.headers['content-length'], String(page.length));
});

test('an asset that is fetched again, or unpacked, for nothing', async () => {
  const target = '/ui/assets/app-1a2b.js';
  const plain = await harness.call('GET', target);
  assert.equal(plain.text, 'plain');
  assert.match(String(plain.headers['cache-control']), /immutable/);
  const headers = { 'accept-encoding': 'gzip, br' };
  const packed = await harness.call('GET', target, { headers });
  assert.deepEqual([packed.text, packed.headers['content-encoding']], ['packed', 'br']);
  assert.equal(packed.headers['content-type'], 'text/javascript; charset=utf-8');
  assert.match(String(packed.headers.vary), /accept-encoding/i);
  const refused = { 'accept-encoding': 'br;q=0, gzip' };
  assert.equal((await harness.call('GET', target, { headers: refused })).text, 'plain');
});

test('a path that leads out of the dashboard', async () => {
  const ways = [
    '/ui/../outside.txt',
    '/ui/..%2foutside.txt',
    '/ui/%2e%2e/outside.txt',
    '/ui/assets/..%2f..%2foutside.txt',
    '/ui/assets/../../outside.txt',
    '/ui//etc/passwd',
    '/ui/%2fetc%2fpasswd',
    '/ui/..%5coutside.txt',
    '/ui/.secret.txt',
    '/ui/outside.txt%00.js',
    '/ui/....//outside.txt',
    '/ui/assets%2f..%2f..%2foutside.txt',
  ];
  for (const way of ways) {
    const text = await harness.raw(`GET ${way} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
    assert.doesNotMatch(text, /secret|root:/, way);
  }
});

test('a package that arrives other than its script says', async () => {
  const script = await harness.call('GET', '/install.sh');
  assert.equal(script.status, 200);
  assert.match(script.text, /^#!\/bin\/sh/);
  const reply = await harness.call('GET', '/install/xim.tgz');
  assert.equal(reply.headers['content-type'], 'application/gzip');
  assert.equal(reply.headers['content-length'], String(tarball.length));
  const digest = createHash('sha256').update(reply.text, 'latin1').digest('hex');
  assert.ok(script.text.includes(digest));
  assert.ok(script.text.includes(harness.base));
});
