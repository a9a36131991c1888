/** What went wrong with a connection, as a sentence for the owner. Judged by error codes alone. */

export interface ConnectionProblem {
  /** Time alone will not cure it: the address, the certificate or the pin is wrong. */
  permanent: boolean;
  message: string;
}

/** Codes that mean: the certificate is not one that the system trusts for this host. */
const untrusted = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_UNTRUSTED',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

const sentences: Record<string, string> = {
  ECONNREFUSED: 'nothing listens at that address',
  ENOTFOUND: 'the host name is not known',
  EAI_AGAIN: 'the host name could not be looked up',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
  ETIMEDOUT: 'the host did not answer',
  UND_ERR_CONNECT_TIMEOUT: 'the host did not answer',
  ECONNRESET: 'the connection was cut',
  UND_ERR_SOCKET: 'the connection was cut',
  EPIPE: 'the connection was cut',
};

/** Reads an error of a socket, of TLS, of `undici` or of `ws`. */
export function describeConnectionError(error: unknown): ConnectionProblem {
  const code = codeOf(error);
  if (code === 'XIM_PIN_MISMATCH') {
    const message =
      'The server has another certificate than the pin says. If the server was set up anew, make ' +
      'a new join key and paste its line; otherwise something stands between this machine and it.';
    return { permanent: true, message };
  }
  if (untrusted.has(code)) {
    const message =
      `The server's certificate is not trusted here (${code}). If it is the server's own, paste ` +
      "the join key's line as it is: it carries the pin. If a private authority has signed it, " +
      'name its certificate in NODE_EXTRA_CA_CERTS, at each start.';
    return { permanent: true, message };
  }
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO') {
    return {
      permanent: true,
      message: 'The server does not speak TLS there: http:// or another port?',
    };
  }
  if (code.startsWith('HPE_')) {
    return {
      permanent: true,
      message: 'The server does not speak HTTP there: https:// or another port?',
    };
  }
  return { permanent: false, message: `The server is not reachable: ${sentences[code] ?? code}.` };
}

/** The code of an error, or of the first inside it that has one; the name when there is none. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  const { code } = error as NodeJS.ErrnoException;
  if (typeof code === 'string') return code;
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  return error.cause instanceof Error ? codeOf(error.cause) : error.name;
}
