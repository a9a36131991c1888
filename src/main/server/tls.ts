/**
 * The certificate of a server that binds beyond loopback. Three ways: files that the operator
 * gives, a proxy in front that ends TLS, or a certificate of our own, made at the first start.
 *
 * Invariants
 * T1 The key of our own certificate is made once and kept: agents pin it, so a certificate that is
 *    made again (new addresses, near its end) keeps the key.
 * T2 The key file is 0600 and appears by rename, whole or not at all.
 */
import {
  X509Certificate,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
} from 'node:crypto';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { directoryProblem, makeDirectory } from '../../lib/files/makeDirectory.ts';
import { pinOfPublicKey } from '../../lib/network/pinnedTls.ts';
import { StartupError } from '../process/startupError.ts';
import { writeFileAtomic } from '../../lib/files/writeFileAtomic.ts';

export interface ServerTls {
  key: string;
  cert: string;
  /** `sha256//…` of the certificate's key: how the agent on this machine knows it. */
  pin: string;
  /** Nobody vouches for the certificate: agents elsewhere have to pin it too. */
  selfSigned: boolean;
}

const dayMs = 86_400_000;
/** Life of our own certificate: clients pin the key, so its end serves nobody. */
const certificateLifeMs = 10 * 365 * dayMs;
/** Made again when less than this is left. */
const renewBeforeMs = 180 * dayMs;

/** Reads the operator's files. Throws a `StartupError` that names the file and what is wrong. */
export function readGivenTls(files: { certFile: string; keyFile: string }): ServerTls {
  const cert = readGiven(files.certFile, '--tls-cert');
  const key = readGiven(files.keyFile, '--tls-key');
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(cert);
  } catch {
    throw new StartupError('tls', `--tls-cert: ${files.certFile} holds no certificate in PEM.`);
  }
  try {
    if (certificate.checkPrivateKey(createPrivateKey(key))) return tlsOf(key, cert);
  } catch {
    throw new StartupError('tls', `--tls-key: ${files.keyFile} holds no private key in PEM.`);
  }
  throw new StartupError(
    'tls',
    `--tls-key: ${files.keyFile} is not the key of the certificate in ${files.certFile}.`,
  );
}

function tlsOf(key: string, cert: string): ServerTls {
  const certificate = new X509Certificate(cert);
  const selfSigned = certificate.verify(certificate.publicKey);
  return { key, cert, pin: pinOfPublicKey(certificate.publicKey), selfSigned };
}

function readGiven(file: string, flag: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    throw new StartupError('tls', `${flag}: cannot read ${file} (${why}).`);
  }
}

/** Every name and address by which this machine may be called: localhost, hostname, interfaces. */
export function ownNames(host: string): string[] {
  const addresses = Object.values(os.networkInterfaces())
    .flatMap((list) => list ?? [])
    .map(({ address }) => address.replace(/%.*$/, ''));
  const wildcard = host === '0.0.0.0' || host === '::';
  const names = ['localhost', '127.0.0.1', '::1', os.hostname(), ...addresses];
  return [...new Set(wildcard ? names : [host, ...names])].toSorted();
}

export interface OwnTls {
  directory: string;
  names: readonly string[];
  clock: Clock;
}

/**
 * Our own certificate in `directory`, made when there is none, kept as long as it fits (T1). Throws
 * a `StartupError` when it can be neither read nor made.
 */
export async function ownTls(options: OwnTls): Promise<ServerTls> {
  try {
    return await readOrMake(options);
  } catch (error) {
    if (error instanceof StartupError) throw error;
    const what = `The certificate in ${options.directory} cannot be used`;
    throw new StartupError('tls', `${what}: ${directoryProblem(error)}.`);
  }
}

async function readOrMake(options: OwnTls): Promise<ServerTls> {
  const keyFile = path.join(options.directory, 'key.pem');
  const certFile = path.join(options.directory, 'cert.pem');
  makeDirectory(options.directory, 0o700);
  if (!existsSync(keyFile)) writeFileAtomic(keyFile, newKey(), 0o600);
  chmodSync(keyFile, 0o600);
  const key = readFileSync(keyFile, 'utf8');
  if (!isPrivateKey(key)) {
    throw new StartupError(
      'tls',
      `${keyFile} holds no private key. Put it back from a backup; or remove it, and the server ` +
        'makes a new one: then every machine has to join again, because agents know the old one.',
    );
  }
  let cert = existsSync(certFile) ? readFileSync(certFile, 'utf8') : '';
  if (!fits(cert, { key, names: options.names, nowMs: options.clock.now() })) {
    cert = await makeCertificate({ key, names: options.names, nowMs: options.clock.now() });
    writeFileAtomic(certFile, cert, 0o644);
  }
  return tlsOf(key, cert);
}

function isPrivateKey(pem: string): boolean {
  try {
    return createPrivateKey(pem).type === 'private';
  } catch {
    return false;
  }
}

function newKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
}

function publicPem(key: string): string {
  return createPublicKey(key).export({ type: 'spki', format: 'pem' }) as string;
}

interface Wanted {
  key: string;
  names: readonly string[];
  nowMs: number;
}

function fits(cert: string, { key, names, nowMs }: Wanted): boolean {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(cert);
  } catch {
    return false;
  }
  return (
    certificate.checkPrivateKey(createPrivateKey(key)) &&
    certificate.validToDate.getTime() - nowMs > renewBeforeMs &&
    names.every((name) =>
      net.isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name),
    )
  );
}

/** A self-signed certificate for the names. Only then is the library loaded: it is needed once. */
async function makeCertificate({ key, names, nowMs }: Wanted): Promise<string> {
  const { generate } = await import('selfsigned');
  const { cert } = await generate([{ name: 'commonName', value: 'XIM' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    keyPair: { privateKey: key, publicKey: publicPem(key) },
    // A clock that is a little behind must not see a certificate from the future.
    notBeforeDate: new Date(nowMs - dayMs),
    notAfterDate: new Date(nowMs + certificateLifeMs),
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: names.map((name) =>
          net.isIP(name) === 0 ? { type: 2, value: name } : { type: 7, ip: name },
        ),
      },
    ],
  });
  return cert;
}
