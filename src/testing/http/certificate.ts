/** A private certificate for loopback and the pin that names it. */
import { X509Certificate } from 'node:crypto';
import { generate } from 'selfsigned';
import { pinOfPublicKey } from '../../lib/network/pinnedTls.ts';

export interface TestCertificate {
  key: string;
  cert: string;
  pin: string;
}

export async function testCertificate(): Promise<TestCertificate> {
  const made = await generate([{ name: 'commonName', value: 'test' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }],
  });
  const pin = pinOfPublicKey(new X509Certificate(made.cert).publicKey);
  return { key: made.private, cert: made.cert, pin };
}
