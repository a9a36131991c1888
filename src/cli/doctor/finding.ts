/** What `xim doctor` found, and how bad it is. */

export const levels = ['ok', 'note', 'warning', 'error'] as const;
export type Level = (typeof levels)[number];

export interface Finding {
  /** What was looked at, in a word or two. */
  check: string;
  level: Level;
  /** What it is like, in a sentence without a full stop. */
  found: string;
  /** What to do about it, in whole sentences; null: nothing. */
  next: string | null;
}

export const ok = (check: string, found: string): Finding => ({
  check,
  level: 'ok',
  found,
  next: null,
});

/** Something to know, or worse; `next` says what to do. */
export function finding(
  level: Exclude<Level, 'ok'>,
  check: string,
  text: { found: string; next: string | null },
): Finding {
  return { check, level, ...text };
}

/** The worst level; `ok` of nothing. */
export function worstOf(findings: readonly Finding[]): Level {
  const worst = Math.max(0, ...findings.map(({ level }) => levels.indexOf(level)));
  return levels[worst] ?? 'ok';
}
