/**
 * `/install.sh` and `/install/xim.tgz`: what the pasted line fetches. The script names the digest
 * of the package, so both come from one look at the build.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { installScript } from '../../api/installScript.ts';
import type { Exchange } from '../exchanges/exchange.ts';
import type { HttpLimits } from '../limits.ts';
import { sendFile } from './sendFile.ts';

const packageSchema = z.object({
  version: z.string().min(1).max(64),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  bytes: z.int().positive(),
});

export interface InstallFiles {
  installScript(exchange: Exchange): Promise<void>;
  installPackage(exchange: Exchange): Promise<void>;
}

const notBuilt = 'The agent’s package is not built. Run `npm run build` on the server.';
const caching = ['cache-control', 'no-cache', 'x-content-type-options', 'nosniff'];

export function createInstallFiles(options: {
  /** Holds `xim.tgz` and `xim.json`; read for each request: a build may appear while we run. */
  directory: string;
  /** Of the server's private certificate, `sha256//…`; null when there is none. */
  pin: string | null;
  /** As a new machine reaches the server, without a slash at the end. */
  publicBase: () => string;
  limits: HttpLimits;
}): InstallFiles {
  const { directory, pin, publicBase, limits } = options;
  return {
    async installScript(exchange) {
      const text = await readFile(path.join(directory, 'xim.json'), 'utf8').catch(() => undefined);
      if (text === undefined) return exchange.refuse('not_found', notBuilt);
      const built = packageSchema.parse(JSON.parse(text));
      const body = Buffer.from(installScript({ serverUrl: publicBase(), pin, package: built }));
      const type = 'text/x-shellscript; charset=utf-8';
      exchange.bytes({ status: 200, type, headers: caching, body });
    },
    async installPackage(exchange) {
      const sent = await sendFile(exchange, {
        path: path.join(directory, 'xim.tgz'),
        type: 'application/gzip',
        headers: caching,
        limits,
      });
      if (!sent) exchange.refuse('not_found', notBuilt);
    },
  };
}
