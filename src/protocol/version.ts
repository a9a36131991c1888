/**
 * The version of the link protocol and its history. A test pins the frame types and the schemas of
 * all messages to the version's fingerprint: whoever changes them decides here what the change
 * means.
 *
 * Rules for a change
 * - A new optional field, a wider bound: the same version; write a line and the new fingerprint.
 * - Anything that an older end would misread or refuse: a new version, and both are served.
 * - Router and agent serve their own version and the one before.
 */

export interface LinkVersion {
  version: number;
  /** Day on which this form was settled. */
  date: string;
  /** What `version.test.ts` computes: the first 16 hex digits of a SHA-256. */
  fingerprint: string;
  what: string;
}

/** Newest first. */
export const linkHistory: readonly LinkVersion[] = [
  {
    version: 1,
    date: '2026-11-26',
    fingerprint: 'b741bc558170dafb',
    what: 'GRANT may say what one short answer of an instance took.',
  },
  {
    version: 1,
    date: '2026-11-26',
    fingerprint: 'f8753ea4885c76e7',
    what: 'END may say how many chunks with text went out, where no engine counted.',
  },
  {
    version: 1,
    date: '2026-11-26',
    fingerprint: '38c1fc3d1c18fce5',
    what: 'OPEN may carry the trace that its request belongs to.',
  },
  {
    version: 1,
    date: '2026-11-26',
    fingerprint: '01019b02274e8202',
    what: 'GRANT may say of an instance how many tokens its engine holds.',
  },
  {
    version: 1,
    date: '2026-11-25',
    fingerprint: '9dba8b8cf698f965',
    what:
      'HEARTBEAT may say more, all of it optional: load, disk, cache under its limit, memory, ' +
      'temperatures, accelerators, and of each engine its queue, speed and KV cache.',
  },
  {
    version: 1,
    date: '2026-11-23',
    fingerprint: '5800414132155fdf',
    what: 'First version: handshake, grants, streams with credits, trailers with ACK.',
  },
];

/** Versions that this build speaks, newest first. */
export const linkVersions: readonly number[] = [1];

/** The newest version that both ends speak, or undefined. */
export function commonVersion(theirs: readonly number[]): number | undefined {
  return linkVersions.find((version) => theirs.includes(version));
}
