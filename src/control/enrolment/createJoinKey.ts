/**
 * Creates a join key for a project's own agents, or (by the platform's admin) for shared ones. The
 * key's text is in the answer and nowhere else (C2).
 */
import type { JoinKeyRow } from '../../store/contract/joinKeyStore.ts';
import { readSupportedTiers, regionInvalid, storageLimitInvalid } from '../agents/agentFields.ts';
import { auditOf, changedBy, type ChangedBy } from '../audit.ts';
import { invalidField, type InvalidField } from '../invalidField.ts';
import { joinKeyTtlMs, joinKeyUses, longestName, openJoinKeysPerOwner } from '../limits.ts';
import type { ControlParts } from '../parts.ts';
import { authorizeOwner, type Denied, type OwnerRef, type Caller } from '../principal.ts';
import { newJoinKeyText } from './joinKeyText.ts';
import { joinKeyView, type JoinKeyView } from './joinKeyView.ts';

/** What is left out takes its default. */
export interface JoinKeyWish {
  name?: string | undefined;
  region?: string | undefined;
  /** Slugs from outside; null = the accelerator's default. */
  supportedTiers?: readonly string[] | null | undefined;
  /** Null = no limit. */
  storageLimitBytes?: number | null | undefined;
  maxUses?: number | undefined;
  ttlMs?: number | undefined;
}

export type InvalidJoinKey = InvalidField<
  'name' | 'region' | 'supported_tiers' | 'storage_limit_bytes' | 'max_uses' | 'ttl_seconds'
>;

export interface CreatedJoinKey {
  ok: true;
  joinKey: JoinKeyView;
  /** `xjk_<id>_<secret>`: shown once. */
  text: string;
  /** What the caller should know, e.g. of a deprecated tier. */
  warnings: string[];
}

export type CreateJoinKeyOutcome =
  | CreatedJoinKey
  | InvalidJoinKey
  /** Too many open keys; `limit` of them may be open. */
  | { ok: false; reason: 'too_many_join_keys'; limit: number }
  | Denied;

type Parts = Pick<ControlParts, 'store' | 'clock' | 'random' | 'log' | 'config'>;

export async function createJoinKey(
  parts: Parts,
  input: { caller: Caller; owner: OwnerRef; wish: JoinKeyWish },
): Promise<CreateJoinKeyOutcome> {
  const { caller, owner, wish } = input;
  const allowed = await authorizeOwner(parts.store, { caller, owner, role: 'owner' });
  if (!allowed.ok) return allowed;
  return insertJoinKey(parts, { projectId: allowed.projectId, wish, by: caller });
}

/** The same for whoever may: the platform itself makes keys, too. */
export async function insertJoinKey(
  parts: Parts,
  input: { projectId: string | null; wish: JoinKeyWish; by: ChangedBy },
): Promise<CreateJoinKeyOutcome> {
  const { projectId, wish, by } = input;
  const made = newJoinKey(parts, { projectId, wish, createdBy: changedBy(by) });
  if (!made.ok) return made;
  const { row, text, warnings } = made;
  const audit = auditOf(parts, by, {
    action: 'join_key.create',
    target: row.id,
    projectId,
    changes: {
      name: { from: null, to: row.name },
      region: { from: null, to: row.region },
      supportedTiers: { from: null, to: row.supportedTiers },
      storageLimitBytes: { from: null, to: row.storageLimitBytes },
      maxUses: { from: null, to: row.maxUses },
      expiresAtMs: { from: null, to: row.expiresAtMs },
    },
  });
  // The platform's own wish must not fail of what people made.
  const openAtMost = by === 'system' ? undefined : openJoinKeysPerOwner;
  const inserted = await parts.store.insertJoinKey({ row, openAtMost, audit });
  if (!inserted.ok) {
    // The project went while the key was made.
    return inserted.reason === 'unknown_project'
      ? { ok: false, reason: 'project_not_found' }
      : inserted;
  }
  parts.log.info({ joinKeyId: row.id, createdBy: row.createdBy }, 'join key created');
  return { ok: true, joinKey: joinKeyView(row, row.createdAtMs), text, warnings };
}

/** The row of a new key and its text, checked against every rule; nothing is written. */
export function newJoinKey(
  parts: Pick<ControlParts, 'clock' | 'random' | 'config'>,
  input: { projectId: string | null; wish: JoinKeyWish; createdBy: string },
): { ok: true; row: JoinKeyRow; text: string; warnings: string[] } | InvalidJoinKey {
  const { projectId, wish, createdBy } = input;
  const problem = firstProblem(wish);
  if (problem !== undefined) return problem;
  const tiers = readSupportedTiers(wish.supportedTiers ?? null, {
    isPlatform: projectId === null,
  });
  if (!tiers.ok) return tiers;
  const { id, secretSha256, text } = newJoinKeyText(parts.random);
  const createdAtMs = parts.clock.now();
  const row: JoinKeyRow = {
    id,
    projectId,
    secretSha256,
    name: (wish.name ?? '').trim(),
    region: wish.region ?? parts.config.defaultRegion,
    supportedTiers: tiers.slugs,
    storageLimitBytes: wish.storageLimitBytes ?? null,
    maxUses: wish.maxUses ?? joinKeyUses.default,
    uses: 0,
    createdAtMs,
    expiresAtMs: createdAtMs + (wish.ttlMs ?? joinKeyTtlMs.default),
    revokedAtMs: null,
    createdBy,
  };
  return { ok: true, row, text, warnings: tiers.warnings };
}

function firstProblem(wish: JoinKeyWish): InvalidJoinKey | undefined {
  return (
    nameProblem(wish.name) ??
    regionInvalid(wish.region) ??
    ttlProblem(wish.ttlMs ?? joinKeyTtlMs.default) ??
    usesProblem(wish.maxUses ?? joinKeyUses.default) ??
    storageLimitInvalid(wish.storageLimitBytes ?? null)
  );
}

function nameProblem(name = ''): InvalidJoinKey | undefined {
  if (name.length <= longestName && !/\p{Cc}/u.test(name)) return undefined;
  const rule = `at most ${longestName} characters on one line`;
  return invalidField('name', `name has ${name.length} characters; it may have ${rule}.`);
}

function ttlProblem(ttlMs: number): InvalidJoinKey | undefined {
  const { least, most } = joinKeyTtlMs;
  if (Number.isInteger(ttlMs) && ttlMs >= least && ttlMs <= most) return undefined;
  const rule = `from ${least / 1000} to ${most / 1000}: a join key expires after at most 1 hour`;
  return invalidField('ttl_seconds', `ttl_seconds is ${ttlMs / 1000}; it must be ${rule}.`);
}

function usesProblem(maxUses: number): InvalidJoinKey | undefined {
  const { least, most } = joinKeyUses;
  if (Number.isInteger(maxUses) && maxUses >= least && maxUses <= most) return undefined;
  return invalidField('max_uses', `max_uses is ${maxUses}; it must be from ${least} to ${most}.`);
}
