/** One HTTP request to a server, in the clear or over TLS whose key was compared first. */
import http from 'node:http';
import https from 'node:https';
import { pinnedConnect } from '../../lib/network/pinnedTls.ts';

/** Where a server answers, and the pin of its private certificate. */
export interface ServerAddress {
  /** Without a slash at the end. */
  server: string;
  pin: string | null;
}

export interface RequestHead {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** From the server's root, with its query. */
  path: string;
  headers: http.OutgoingHttpHeaders;
}

/** A request that has not been ended yet; its errors are the caller's to listen for. */
export function openRequest({ server, pin }: ServerAddress, head: RequestHead): http.ClientRequest {
  const url = new URL(`${server}${head.path}`);
  const secure = url.protocol === 'https:';
  return (secure ? https : http).request(url, {
    method: head.method,
    headers: head.headers,
    // The socket comes by the callback, after the key was compared; the types know only net.Socket.
    // An agent, even `false`, would connect in its own way.
    ...(secure ? { createConnection: pinnedConnect(pin) as never } : { agent: false }),
  });
}

/** Codes of TLS by which nobody vouches for the certificate. */
const untrusted = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

export type UnreachableReason = 'other_key' | 'untrusted_certificate' | 'no_connection';

/** Why a request got no answer. */
export function unreachableReason(error: unknown): UnreachableReason {
  const { code = '' } = error as NodeJS.ErrnoException;
  if (code === 'XIM_PIN_MISMATCH') return 'other_key';
  return untrusted.has(code) ? 'untrusted_certificate' : 'no_connection';
}

/** In a sentence that ends with the next step. */
export function unreachableText(error: unknown, server: string): string {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (unreachableReason(error)) {
    case 'other_key':
      return (
        `${server} has another key than the one that is known of it. Either it was set up anew ` +
        '(then sign in again with its new --pin, or copy its credentials.json again), or it is ' +
        'not the server that you mean.'
      );
    case 'untrusted_certificate':
      return (
        `${server} has a certificate that this machine does not trust (${code}). If it is the ` +
        "server's own, name its key: xim login shows it, and --pin says that it is right."
      );
    case 'no_connection': {
      const why = code === 'ECONNREFUSED' ? 'nothing listens there' : (code ?? message);
      const next = 'Is the server running? Start it with: xim serve';
      return `${server} cannot be reached (${why}). ${next}`;
    }
  }
}
