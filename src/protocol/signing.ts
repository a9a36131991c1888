/**
 * The exact bytes that an agent signs to prove its key when it links. The purpose stands first in
 * every signed message, so that a signature for one purpose is never valid for another.
 */
import { createHash } from 'node:crypto';

/** What HELLO's signature covers. */
export function helloMessage(parts: {
  nonce: string;
  agentId: string;
  instance: string;
  link: number;
  accessToken: string;
}): Buffer {
  const tokenHash = createHash('sha256').update(parts.accessToken).digest('hex');
  return Buffer.from(
    ['xim-link-1', parts.nonce, parts.agentId, parts.instance, String(parts.link), tokenHash].join(
      '\n',
    ),
  );
}
