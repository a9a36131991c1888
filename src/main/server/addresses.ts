/**
 * Where the server listens and by which addresses it is called: by people and other machines (the
 * public URL, from configuration and never from a Host header) and by its own shared agent.
 */
import net from 'node:net';
import os from 'node:os';
import type { ServeConfig } from './serveConfig.ts';

/** Whether a host to listen on is this machine's loopback alone. */
export function isLoopback(host: string): boolean {
  if (net.isIPv4(host)) return host.startsWith('127.');
  return host === '::1' || host === 'localhost';
}

/**
 * Whether the server itself speaks TLS: beyond loopback, unless a proxy does; always with files.
 */
export function speaksTls(config: Pick<ServeConfig, 'host' | 'behindProxy' | 'tlsCert'>): boolean {
  if (config.behindProxy) return false;
  return config.tlsCert !== undefined || !isLoopback(config.host);
}

const isWildcard = (host: string): boolean => host === '0.0.0.0' || host === '::';

/**
 * The address that other machines most likely reach this one by: the first that is not loopback.
 */
function outwardAddress(): string {
  const addresses = Object.values(os.networkInterfaces()).flatMap((list) => list ?? []);
  const outward = addresses.filter(({ internal, family }) => !internal && family === 'IPv4');
  return outward[0]?.address ?? os.hostname();
}

function origin(host: string, port: number, tls: boolean): string {
  const shown = net.isIPv6(host) ? `[${host}]` : host;
  const usual = port === (tls ? 443 : 80);
  return `${tls ? 'https' : 'http'}://${shown}${usual ? '' : `:${port}`}`;
}

/** How others call the server, without a slash at the end. `port` is the one that was bound. */
export function publicUrlOf(
  config: Pick<ServeConfig, 'host' | 'publicUrl' | 'behindProxy' | 'tlsCert'>,
  port: number,
): string {
  if (config.publicUrl !== undefined) return config.publicUrl.replace(/\/+$/, '');
  const host = isWildcard(config.host) ? outwardAddress() : config.host;
  return origin(host, port, speaksTls(config));
}

/** How the shared agent on this machine calls it. */
export function localUrlOf(
  config: Pick<ServeConfig, 'host' | 'publicUrl' | 'behindProxy' | 'tlsCert'>,
  port: number,
): string {
  const host = config.host === '::' ? '::1' : isWildcard(config.host) ? '127.0.0.1' : config.host;
  // An agent refuses plain HTTP off loopback, also to its own machine's outward address.
  if (config.behindProxy && !isLoopback(host)) return publicUrlOf(config, port);
  return origin(host, port, speaksTls(config));
}
