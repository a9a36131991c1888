/** Isolation of one project's requests from another's: named levels, from none to the strongest. */

export const isolationLevels = ['none', 'logical', 'process', 'single_use', 'microvm'] as const;

export type IsolationLevel = (typeof isolationLevels)[number];

/** What each level promises, for people who choose one. */
export const isolationMeanings: Readonly<Record<IsolationLevel, string>> = {
  none: 'requests of several projects share an engine without a sandbox',
  logical: 'a shared batch in a sandboxed engine, with a cache salt for each project',
  process: 'one project at a time in a sandboxed engine process, cleared when the project changes',
  single_use: 'a sandboxed worker serves one request and is killed',
  microvm: 'reserved: no agent offers it, so every request is refused',
};

export function isIsolationLevel(text: string): text is IsolationLevel {
  return (isolationLevels as readonly string[]).includes(text);
}

/** Whether `level` promises less than `other`. */
export function isWeaker(level: IsolationLevel, other: IsolationLevel): boolean {
  return isolationLevels.indexOf(level) < isolationLevels.indexOf(other);
}
