/**
 * Who calls a data route: the bearer key, looked up by its SHA-256 in the directory in memory. No
 * cookie is read here, and nothing is awaited.
 *
 * The look-up is by the digest of the whole key: how long it takes tells nothing of a key that is
 * nearly right (C2).
 */
import { hash } from 'node:crypto';
import type { ErrorName } from '../../api/errors.ts';
import type { ApiKeyEntry } from '../../domain/directory.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Directory } from '../../router/directory.ts';
import { addressRanges, type AddressRanges } from '../clientAddress.ts';
import { longestKey } from '../limits.ts';

export type Authentication =
  | { ok: true; key: ApiKeyEntry }
  | { ok: false; name: ErrorName; message: string };

export type KeyDirectory = Pick<Directory, 'apiKeyByHash'>;

type Scope = ApiKeyEntry['scopes'][number];

const bearer = /^bearer +(\S+) *$/i;

export class ApiKeyAuth {
  private readonly directory: KeyDirectory;
  private readonly clock: Clock;
  /** Compiled allow-lists; an entry lives as long as the key's entry in the directory. */
  private readonly allowed = new WeakMap<ApiKeyEntry, AddressRanges>();

  constructor(options: { directory: KeyDirectory; clock: Clock }) {
    this.directory = options.directory;
    this.clock = options.clock;
  }

  /** Checks `Authorization` of a caller at `address` for a scope. */
  authenticate(caller: {
    authorization: string | undefined;
    address: string;
    scope: Scope;
  }): Authentication {
    const text = bearer.exec(caller.authorization ?? '')?.[1];
    if (text === undefined) return refused('missing_key', noKey);
    const key = this.find(text);
    if (key === undefined || key.revoked) {
      const reason = key === undefined ? 'is unknown' : 'was revoked';
      return refused('invalid_api_key', `The API key ${maskedKey(text)} ${reason}.`);
    }
    if (key.expiresAtMs !== null && key.expiresAtMs <= this.clock.now()) {
      return refused('invalid_api_key', `The API key ${maskedKey(text)} has expired.`);
    }
    if (key.ipAllowList.length > 0 && !this.rangesOf(key).includes(caller.address)) {
      const message = `The API key ${maskedKey(text)} may not be used from this address.`;
      return refused('ip_not_authorized', message);
    }
    if (!key.scopes.includes(caller.scope)) {
      const message = `The API key ${maskedKey(text)} has no scope '${caller.scope}'.`;
      return refused('insufficient_permissions', message);
    }
    return { ok: true, key };
  }

  private find(text: string): ApiKeyEntry | undefined {
    if (text.length > longestKey) return undefined;
    return this.directory.apiKeyByHash(hash('sha256', text, 'hex'));
  }

  private rangesOf(key: ApiKeyEntry): AddressRanges {
    const known = this.allowed.get(key) ?? addressRanges(key.ipAllowList);
    this.allowed.set(key, known);
    return known;
  }
}

const noKey = 'No API key was given. Send it in the header: Authorization: Bearer YOUR_KEY.';

function refused(name: ErrorName, message: string): Authentication {
  return { ok: false, name, message };
}

/** A key as it may be shown: `xim_nordlab_…c41e`. What is not of our form shows its ends only. */
export function maskedKey(text: string): string {
  const plain = /^[\w.-]+$/.test(text) ? text : '';
  const prefix = /^xim_[a-z0-9-]{1,80}_/.exec(plain)?.[0] ?? plain.slice(0, 3);
  const secretLength = plain.length - prefix.length;
  return secretLength < 12 ? `'${plain.slice(0, 3)}…'` : `'${prefix}…${plain.slice(-4)}'`;
}
