import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { pinnedConnect } from '../../lib/network/pinnedTls.ts';
import { StartupError } from '../process/startupError.ts';
import { ownNames, ownTls, readGivenTls } from './tls.ts';

const directory = mkdtempSync(path.join(os.tmpdir(), 'xim-tls-'));
after(() => rmSync(directory, { recursive: true }));
const names = ['localhost', '127.0.0.1', '::1', 'box.example'];
const clock = systemClock;

test('a certificate that lacks a name or soon ends, or a key that others can read', async () => {
  const own = await ownTls({ directory: path.join(directory, 'a'), names, clock });
  const certificate = new X509Certificate(own.cert);
  assert.equal(certificate.checkHost('box.example'), 'box.example');
  assert.equal(certificate.checkIP('::1'), '::1');
  assert.ok(certificate.validToDate.getTime() > clock.now() + 9 * 365 * 86_400_000);
  assert.equal(statSync(path.join(directory, 'a', 'key.pem')).mode & 0o777, 0o600);
});

test('another pin after a restart or a change of address (T1)', async () => {
  const where = path.join(directory, 'b');
  const first = await ownTls({ directory: where, names, clock });
  const again = await ownTls({ directory: where, names, clock });
  assert.equal(again.cert, first.cert);
  const moved = await ownTls({ directory: where, names: [...names, '10.1.2.3'], clock });
  assert.notEqual(moved.cert, first.cert);
  assert.equal(moved.pin, first.pin);
  writeFileSync(path.join(where, 'cert.pem'), 'cut off');
  assert.equal((await ownTls({ directory: where, names, clock })).pin, first.pin);
});

test('a certificate near its end that is kept', async () => {
  const where = path.join(directory, 'c');
  const first = await ownTls({ directory: where, names, clock });
  const later = { ...clock, now: () => clock.now() + 9.8 * 365 * 86_400_000 };
  assert.notEqual((await ownTls({ directory: where, names, clock: later })).cert, first.cert);
});

test('a client that trusts the pin and is not served, or another pin that is', async () => {
  const own = await ownTls({ directory: path.join(directory, 'd'), names, clock });
  const server = https.createServer({ key: own.key, cert: own.cert }, (_request, response) => {
    response.end('hello');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const get = (pin: string | null): Promise<string> =>
    new Promise((resolve, reject) => {
      https
        .get(
          { host: '127.0.0.1', port, createConnection: pinnedConnect(pin) as never },
          (answer) => {
            answer.setEncoding('utf8').on('data', resolve);
          },
        )
        .on('error', reject);
    });
  assert.equal(await get(own.pin), 'hello');
  const other = await ownTls({ directory: path.join(directory, 'e'), names, clock });
  await assert.rejects(get(other.pin), { code: 'XIM_PIN_MISMATCH' });
  await assert.rejects(get(null), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  server.closeAllConnections();
  server.close();
});

test('files of the operator that do not fit, without a sentence that names them', async () => {
  const one = await ownTls({ directory: path.join(directory, 'f'), names, clock });
  const other = await ownTls({ directory: path.join(directory, 'g'), names, clock });
  const at = (folder: string, file: string): string => path.join(directory, folder, file);
  const given = readGivenTls({ certFile: at('f', 'cert.pem'), keyFile: at('f', 'key.pem') });
  assert.deepEqual(given, one);
  assert.ok(one.selfSigned);
  assert.notEqual(one.key, other.key);
  const refused = (certFile: string, keyFile: string): string => {
    try {
      readGivenTls({ certFile, keyFile });
    } catch (error) {
      assert.ok(error instanceof StartupError && error.kind === 'tls');
      return error.message;
    }
    return assert.fail('accepted');
  };
  assert.match(refused(at('f', 'cert.pem'), at('g', 'key.pem')), /is not the key of/);
  assert.match(
    refused(at('f', 'none.pem'), at('g', 'key.pem')),
    /cannot read .*none\.pem \(ENOENT/,
  );
  assert.match(refused(at('f', 'key.pem'), at('f', 'key.pem')), /holds no certificate/);
  assert.match(refused(at('f', 'cert.pem'), at('f', 'cert.pem')), /holds no private key/);
});

test('a certificate of our own that is damaged or cannot be made, told with a stack', async () => {
  const problem = async (where: string): Promise<string> => {
    const error = await ownTls({ directory: where, names, clock }).catch((why: unknown) => why);
    assert.ok(error instanceof StartupError && error.kind === 'tls', String(error));
    return error.message;
  };
  const where = path.join(directory, 'e');
  await ownTls({ directory: where, names, clock });
  const key = path.join(where, 'key.pem');
  for (const text of ['', 'nothing', '-----BEGIN PRIVATE KEY-----\nAAAA\n']) {
    writeFileSync(key, text);
    assert.match(await problem(where), /key\.pem holds no private key\. Put it back.*join again/);
  }
  rmSync(key);
  mkdirSync(key);
  assert.match(await problem(where), /certificate in .* cannot be used: EISDIR/);
  const file = path.join(directory, 'file');
  writeFileSync(file, '');
  assert.match(await problem(file), /cannot be used: it is a file/);
});

test('a host that was asked for and is missing from the names', () => {
  assert.ok(ownNames('10.9.8.7').includes('10.9.8.7'));
  assert.ok(!ownNames('0.0.0.0').includes('0.0.0.0'));
  assert.ok(ownNames('::').includes(os.hostname()));
});
