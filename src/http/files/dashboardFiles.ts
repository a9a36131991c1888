/**
 * `/ui/`: the dashboard as the build left it. Addresses that name no file are views of the
 * application and get its page; names with a file's ending that are not there are missing.
 *
 * Invariant D1: only plain names of the build are opened: letters, digits, `.`, `_`, `-`, no name
 * that begins with a dot. There is no way to spell a path that leaves the directory.
 */
import path from 'node:path';
import type { Exchange } from '../exchanges/exchange.ts';
import { dashboardDepth, type HttpLimits } from '../limits.ts';
import { sendFile } from './sendFile.ts';

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
  '.woff2': 'font/woff2',
};

/** No inline script or style element, nothing from elsewhere, no frame around it. */
const contentPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

const securityHeaders = [
  ['content-security-policy', contentPolicy],
  ['cross-origin-opener-policy', 'same-origin'],
  ['cross-origin-resource-policy', 'same-origin'],
  ['referrer-policy', 'no-referrer'],
  ['x-content-type-options', 'nosniff'],
  ['vary', 'accept-encoding'],
].flat();

const plainName = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/;

/**
 * Serves from `directory`, which is read anew for each request: a build may appear while we run.
 */
export function createDashboard(options: {
  directory: string;
  limits: HttpLimits;
}): (exchange: Exchange) => Promise<void> {
  const { directory, limits } = options;
  const send = async (exchange: Exchange, name: string): Promise<boolean> => {
    const type = types[path.extname(name)];
    if (type === undefined) return false;
    const caching = name.startsWith('assets/') ? 'public, max-age=31536000, immutable' : 'no-cache';
    const headers = [...securityHeaders, 'cache-control', caching];
    const file = { path: path.join(directory, name), type, headers, limits };
    if (takesBrotli(exchange.request.headers['accept-encoding'])) {
      const packed = { ...file, path: `${file.path}.br` };
      const encoded = [...headers, 'content-encoding', 'br'];
      if (await sendFile(exchange, { ...packed, headers: encoded })) return true;
    }
    return sendFile(exchange, file);
  };

  return async (exchange) => {
    const rest = exchange.params['rest'] ?? '';
    const name = rest === '' ? 'index.html' : rest;
    if (isPlainPath(name) && (await send(exchange, name))) return;
    if (types[path.extname(rest)] !== undefined || !isView(rest)) {
      exchange.refuse('unknown_url', 'There is nothing at this address.');
      return;
    }
    if (await send(exchange, 'index.html')) return;
    exchange.refuse('not_found', 'The dashboard is not built. Run `npm run build`.');
  };
}

/** D1. */
function isPlainPath(name: string): boolean {
  const parts = name.split('/');
  return parts.length <= dashboardDepth && parts.every((part) => plainName.test(part));
}

/** An address of the application: anything without tricks in it. */
function isView(rest: string): boolean {
  return rest.split('/').every((part) => !/[\0\\]/.test(part) && part !== '..' && part !== '.');
}

function takesBrotli(header: string | string[] | undefined): boolean {
  const text = Array.isArray(header) ? header.join(',') : (header ?? '');
  return text.split(',').some((one) => /^\s*br\s*(;\s*q=(?!0(\.0*)?\s*$).*)?$/i.test(one));
}
