/**
 * Who calls a data route: the bearer key, looked up by its SHA-256 in the directory in memory. No
 * cookie is read here, and nothing is awaited.
 *
 * The look-up is by the digest of the whole key: how long it takes tells nothing of a key that is
 * nearly right (C2).
 */
import { hash } from 'node:crypto';
import type { ErrorName } from '../../api/errors.ts';
import { apiKeyStanding, type ApiKeyStanding } from '../../domain/settings/apiKeyStanding.ts';
import type { ApiKeyEntry } from '../../domain/directory.ts';
import { addressRanges, type AddressRanges } from '../../lib/network/addressRanges.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Directory } from '../../router/directory.ts';
import { longestKey } from '../limits.ts';

export type Authentication =
  /** `sha256` is of the value that was sent: during a rotation's grace a key has two. */
  { ok: true; key: ApiKeyEntry; sha256: string } | { ok: false; name: ErrorName; message: string };

export type KeyDirectory = Pick<Directory, 'apiKeyByHash'>;

type Scope = ApiKeyEntry['scopes'][number];

const bearer = /^bearer +(\S+) *$/i;

export class ApiKeyAuth {
  private readonly directory: KeyDirectory;
  private readonly clock: Clock;
  private readonly onUse: (apiKeyId: string) => void;
  /** Compiled allow-lists; an entry lives as long as the key's entry in the directory. */
  private readonly allowed = new WeakMap<ApiKeyEntry, AddressRanges>();

  /** `onUse` hears of every key that has opened something. */
  constructor(options: {
    directory: KeyDirectory;
    clock: Clock;
    onUse: (apiKeyId: string) => void;
  }) {
    this.directory = options.directory;
    this.clock = options.clock;
    this.onUse = options.onUse;
  }

  /** Checks `Authorization` of a caller at `address` for a scope. */
  authenticate(caller: {
    authorization: string | undefined;
    address: string;
    scope: Scope;
  }): Authentication {
    const text = bearer.exec(caller.authorization ?? '')?.[1];
    if (text === undefined) return refused('missing_key', noKey);
    // Longer than any key: nothing to hash.
    const sha256 = text.length > longestKey ? '' : hash('sha256', text, 'hex');
    const key = this.directory.apiKeyByHash(sha256);
    const standing =
      key === undefined ? 'unknown' : apiKeyStanding(key, { sha256, nowMs: this.clock.now() });
    if (key === undefined || standing !== 'good') {
      return refused('invalid_api_key', `The API key ${maskedKey(text)} ${whyNot[standing]}.`);
    }
    if (key.ipAllowList.length > 0 && !this.rangesOf(key).includes(caller.address)) {
      const message = `The API key ${maskedKey(text)} may not be used from this address.`;
      return refused('ip_not_authorized', message);
    }
    if (!key.scopes.includes(caller.scope)) {
      const message = `The API key ${maskedKey(text)} has no scope '${caller.scope}'.`;
      return refused('insufficient_permissions', message);
    }
    this.onUse(key.id);
    return { ok: true, key, sha256 };
  }

  private rangesOf(key: ApiKeyEntry): AddressRanges {
    const known = this.allowed.get(key) ?? addressRanges(key.ipAllowList);
    this.allowed.set(key, known);
    return known;
  }
}

const whyNot: Readonly<Record<ApiKeyStanding | 'unknown', string>> = {
  unknown: 'is unknown',
  revoked: 'was revoked',
  expired: 'has expired',
  replaced: 'was rotated, and its time of grace is over',
  good: 'is good',
};

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
