/** The pasted line and the script behind it, run by a real shell against a real server. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { generate } from 'selfsigned';
import { nodeArguments } from '../lib/process/nodeArguments.ts';
import { pinOfPublicKey } from '../lib/network/pinnedTls.ts';
import { systemRandom } from '../lib/random.ts';
import { mountSmallDisk } from '../testing/database/smallDisk.ts';
import { installScript } from './installScript.ts';
import { joinCommand, shellQuote } from './joinCommand.ts';

const directory = mkdtempSync(path.join(os.tmpdir(), 'xim-join-'));
/** Holds `sh`, `node` and nothing else: no curl, no tar, no gzip. */
const bare = path.join(directory, 'bare');
const wrongPin = `sha256//${'A'.repeat(43)}=`;
let plain: http.Server;
let secure: https.Server;
let pin: string;
let archive: Buffer;
let script: (serverUrl: string, pin: string | null) => string;

/** A package whose `bin/xim` prints what it was started with. */
function packageOf(files: Record<string, string>): Buffer {
  const blocks = Object.entries(files).flatMap(([name, content]) => {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write('0000755', 100);
    header.write(content.length.toString(8).padStart(11, '0'), 124);
    return [header, Buffer.from(content), Buffer.alloc((512 - (content.length % 512)) % 512)];
  });
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)]));
}

const handler: http.RequestListener = (request, response) => {
  const tls = 'encrypted' in request.socket;
  const server = `${tls ? 'https' : 'http'}://${request.headers.host}`;
  if (request.url === '/install.sh') response.end(script(server, tls ? pin : null));
  else if (request.url === '/install/xim.tgz') response.end(archive);
  else response.writeHead(404).end();
};

before(async () => {
  mkdirSync(bare);
  symlinkSync('/bin/sh', path.join(bare, 'sh'));
  symlinkSync(process.execPath, path.join(bare, 'node'));
  const made = await generate([{ name: 'commonName', value: 'x' }], { keyType: 'ec' });
  pin = pinOfPublicKey(new X509Certificate(made.cert).publicKey);
  plain = http.createServer(handler);
  secure = https.createServer({ key: made.private, cert: made.cert }, handler);
  await Promise.all(
    [plain, secure].map((one) => new Promise<void>((done) => one.listen(0, '127.0.0.1', done))),
  );
});

after(() => {
  for (const one of [plain, secure]) {
    one.closeAllConnections();
    one.close();
  }
  rmSync(directory, { recursive: true });
});

function publish(files: Record<string, string>, claimedSha256?: string): void {
  archive = packageOf(files);
  const sha256 = claimedSha256 ?? createHash('sha256').update(archive).digest('hex');
  script = (serverUrl, withPin) =>
    installScript({
      serverUrl,
      pin: withPin,
      package: { version: '0.1.0', sha256, bytes: archive.length },
    });
}

const agent = `console.log(JSON.stringify([process.argv.slice(2), process.env.XIM_JOIN_KEY,
  process.execArgv]))`;
const good = { 'package/bin/xim': agent };

const urlOf = (server: http.Server | https.Server): string =>
  `${server === secure ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`;

let homes = 0;
interface Ran {
  code: number | null;
  out: string;
  err: string;
  home: string;
}

function shell(line: string, env: Record<string, string> = {}): Promise<Ran> {
  homes += 1;
  const home = path.join(directory, `home-${homes}`);
  return new Promise((resolve) => {
    const child = spawn('/bin/sh', ['-c', line], {
      env: { PATH: bare, XIM_HOME: home, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    let err = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => (out += part));
    child.stderr.setEncoding('utf8').on('data', (part: string) => (err += part));
    child.on('close', (code) => resolve({ code, out, err, home }));
  });
}

const joinKey = 'xjk_1_s';

test('a line that needs more than sh and node, or loses key, pin or arguments', async () => {
  publish(good);
  for (const server of [plain, secure]) {
    const serverUrl = urlOf(server);
    const usedPin = server === secure ? pin : null;
    const ran = await shell(joinCommand({ serverUrl, pin: usedPin, joinKey }).node);
    assert.equal(ran.code, 0, ran.err);
    const pinArguments = usedPin === null ? [] : ['--pin', usedPin];
    assert.deepEqual(JSON.parse(ran.out), [
      ['agent', '--server', serverUrl, ...pinArguments],
      joinKey,
      nodeArguments,
    ]);
  }
});

test('an update after which a service still starts the old version', async () => {
  const serverUrl = urlOf(plain);
  const line = joinCommand({ serverUrl, pin: null, joinKey }).node;
  const env = { XIM_HOME: path.join(directory, 'updated') };
  for (const version of ['one', 'two']) {
    publish({ 'package/bin/xim': `console.log('${version}')` });
    const ran = await shell(line, env);
    assert.equal(ran.code, 0, ran.err);
    const started = await shell('node "$XIM_HOME/xim"', env);
    assert.equal(started.out, `${version}\n`, started.err);
  }
  // What stands in the way of the link stands in nobody's way.
  rmSync(path.join(env.XIM_HOME, 'xim'));
  mkdirSync(path.join(env.XIM_HOME, 'xim', 'full'), { recursive: true });
  const ran = await shell(line, env);
  assert.deepEqual([ran.code, ran.out], [0, 'two\n']);
  assert.match(ran.err, /cannot write .*updated\/xim \(E[A-Z]+\)\. Start it as .*\/bin\/xim/);
});

test('a line with curl that differs from the one without', async (t) => {
  publish(good);
  const env = { PATH: `${process.env['PATH']}:${bare}` };
  if ((await shell('command -v curl', env)).code !== 0) return t.skip('no curl on this machine');
  const serverUrl = urlOf(secure);
  const ran = await shell(`${joinCommand({ serverUrl, pin, joinKey }).shell} -s -- --name a`, env);
  assert.equal(ran.code, 0, ran.err);
  assert.deepEqual(JSON.parse(ran.out)[0].slice(-2), ['--name', 'a']);
  const wrong = await shell(joinCommand({ serverUrl, pin: wrongPin, joinKey }).shell, env);
  assert.match(wrong.err, /curl: \(90\)/);
  assert.equal(wrong.out, '');
});

test('anything of a server with another key that is executed (J2)', async () => {
  publish({ 'package/bin/xim': 'console.log("executed")' });
  const serverUrl = urlOf(secure);
  const ran = await shell(joinCommand({ serverUrl, pin: wrongPin, joinKey }).node);
  assert.match(ran.err, /another key than the pasted line/);
  assert.equal(ran.out, '');
  assert.ok(!existsSync(ran.home));
});

test('a package that is not the one of the script, unpacked all the same (I2)', async () => {
  publish(good, 'f'.repeat(64));
  const ran = await shell(joinCommand({ serverUrl: urlOf(plain), pin: null, joinKey }).node);
  assert.notEqual(ran.code, 0);
  assert.match(ran.err, /is not the one that this script names/);
  assert.equal(ran.out, '');
  assert.ok(!existsSync(ran.home));
});

test('a package that writes outside its directory', async () => {
  publish({ ...good, '../../../outside': 'x' });
  const ran = await shell(joinCommand({ serverUrl: urlOf(plain), pin: null, joinKey }).node);
  assert.notEqual(ran.code, 0);
  assert.match(ran.err, /outside itself/);
  assert.ok(!existsSync(path.join(directory, 'outside')));
});

test('a second run that downloads again, or leaves rubbish behind (I4)', async () => {
  publish(good);
  const line = joinCommand({ serverUrl: urlOf(plain), pin: null, joinKey }).node;
  const first = await shell(line);
  archive = Buffer.from('gone');
  const again = await shell(line, { XIM_HOME: first.home });
  assert.equal(again.code, 0, again.err);
  assert.equal(again.err, '');
  assert.equal(readdirSync(path.join(first.home, 'versions')).length, 1);
});

test('a directory that cannot be written, told with a stack or tried for ever', async () => {
  publish(good);
  const line = joinCommand({ serverUrl: urlOf(plain), pin: null, joinKey }).node;
  const file = path.join(directory, 'a-file');
  writeFileSync(file, '');
  for (const [home, code] of [
    [file, 'ENOTDIR'],
    ['/proc/x', 'ENOENT'],
    [path.join(directory, 'x'.repeat(300)), 'ENAMETOOLONG'],
  ]) {
    const ran = await shell(line, { XIM_HOME: home ?? '' });
    assert.equal(ran.code, 1, ran.err);
    const sentence = /^xim: cannot write \S+ \((\w+)\)\..*XIM_HOME\.$/m.exec(ran.err);
    assert.equal(sentence?.[1], code, ran.err);
    assert.doesNotMatch(ran.err, /^ {4}at /m);
  }
});

test('half a package that a failed or killed run leaves behind (I4)', async (t) => {
  const home = path.join(directory, 'small');
  const disk = mountSmallDisk(home, { bytes: 64 * 1024 });
  if (disk.kind === 'missing') return t.skip(disk.reason);
  t.after(() => disk.remove());
  // Noise does not shrink, so that the bytes that are fetched are as many.
  publish({ ...good, 'package/dist/xim.mjs': systemRandom.bytes(100_000).toString('hex') });
  const line = joinCommand({ serverUrl: urlOf(plain), pin: null, joinKey }).node;
  const full = await shell(line, { XIM_HOME: home });
  assert.match(full.err, /cannot write .* \(ENOSPC\)\. Make room/);
  assert.deepEqual(readdirSync(path.join(home, 'versions')), []);
  publish(good);
  const [killed = '', running = ''] = ['4194305', '4194306'].map((pid) => {
    const left = path.join(home, 'versions', `0.1.0-0123456789ab.new-${pid}`);
    mkdirSync(left);
    return left;
  });
  const hoursAgo = Date.now() / 1000 - 2 * 3600;
  utimesSync(killed, hoursAgo, hoursAgo);
  const ran = await shell(line, { XIM_HOME: home });
  assert.equal(ran.code, 0, ran.err);
  assert.ok(!existsSync(killed), 'nobody writes for that long');
  assert.ok(existsSync(running), 'it may be of another machine with the same home');
});

test('a server that says nothing, waited for without end', async (t) => {
  const silent = net.createServer();
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  t.after(() => silent.close());
  const { port } = silent.address() as AddressInfo;
  const serverUrl = `http://127.0.0.1:${port}`;
  const line = joinCommand({ serverUrl, pin: null, joinKey }).node;
  const ran = await shell(line.replace('timeout:30000', 'timeout:200'));
  assert.match(ran.err, /^xim: no answer$/m);
  publish(good);
  const file = path.join(directory, 'silent.sh');
  writeFileSync(file, script(serverUrl, null).replace('timeout: 30000', 'timeout: 200'));
  const stalled = await shell(`sh ${file}`);
  assert.equal(stalled.code, 1);
  assert.match(stalled.err, /cannot fetch .*xim\.tgz: it says nothing for 30 s/);
});

test('a script cut short that runs half (I3)', async () => {
  publish(good);
  const whole = script(urlOf(plain), null);
  for (const share of [0.2, 0.5, 0.9, 0.99]) {
    const file = path.join(directory, 'cut.sh');
    writeFileSync(file, whole.slice(0, Math.floor(whole.length * share)));
    const ran = await shell(`sh ${file}`);
    assert.ok(!existsSync(ran.home), `executed ${share} of the script`);
  }
});

test('a machine without node, or with one too old, and no word on what to do', async () => {
  publish(good);
  const file = path.join(directory, 'install.sh');
  writeFileSync(file, script(urlOf(plain), null));
  const none = await shell(`PATH=/nowhere; . ${file}`);
  assert.match(none.err, /no node on the PATH. Install Node 20\.18\.1 or newer/);
  const old = path.join(directory, 'old');
  mkdirSync(old);
  const fake = '#!/bin/sh\n[ "$1" = --version ] && echo v18.20.0 && exit 0\nexit 1\n';
  writeFileSync(path.join(old, 'node'), fake, { mode: 0o755 });
  const ran = await shell(`. ${file}`, { PATH: old });
  assert.equal(ran.code, 1);
  assert.match(ran.err, /the node on the PATH is v18\.20\.0; the agent needs 20\.18\.1/);
});

test('a value that breaks out of its quotes (J1)', async () => {
  const nasty = `a'b"c $(touch x) \`id\`\\ \n;`;
  const ran = await shell(`node -p 'JSON.stringify(process.argv[1])' -- ${shellQuote(nasty)}`);
  assert.equal(JSON.parse(ran.out), nasty);
  assert.equal(shellQuote(''), `''`);
});
