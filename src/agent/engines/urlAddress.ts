/** Where an attached engine listens: `http(s)://host[:port][/prefix]` or `unix:/path/to/socket`. */

export interface EngineAddress {
  origin: string;
  /** Path of a unix socket; undefined over TCP. */
  socketPath: string | undefined;
  /** Stands before `/v1/…`, without a slash at the end. */
  prefix: string;
  /** As the owner knows it, without credentials. */
  shown: string;
}

export type EngineAddressOutcome =
  | { kind: 'ok'; address: EngineAddress }
  | { kind: 'invalid'; message: string };

/** Reads `--engine-url`. A `/v1` at the end, as base URLs of clients have it, is taken off. */
export function parseEngineUrl(given: string): EngineAddressOutcome {
  if (given.startsWith('unix:')) {
    const socketPath = given.slice('unix:'.length).replace(/^\/\/(?=\/)/, '');
    if (!socketPath.startsWith('/')) return invalid(given);
    const address = { origin: 'http://localhost', socketPath, prefix: '', shown: given };
    return { kind: 'ok', address };
  }
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) return invalid(given);
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    return invalid(given);
  }
  const prefix = url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '');
  const shown = url.origin + prefix;
  return { kind: 'ok', address: { origin: url.origin, socketPath: undefined, prefix, shown } };
}

const invalid = (given: string): EngineAddressOutcome => ({
  kind: 'invalid',
  message:
    `The engine address "${given}" must look like http://127.0.0.1:8000 or ` +
    'unix:/run/engine.sock; a key goes into --engine-key.',
});
