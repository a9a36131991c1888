/**
 * Settings of a thing as options: each is a row of the options' table and the member of the body
 * (or of the query) that it becomes. `--unset` takes one back.
 */
import type { ConfigRow, ConfigTable } from '../../lib/config.ts';
import type { ServerSession } from '../connection/withServer.ts';

export interface BodyField {
  row: ConfigRow & { flag: string };
  /** In the body; a dot leads into an object, as in `fallback.enabled`. */
  member: string;
  /** What the row's value becomes; by default itself. */
  to?: (value: never, asked: Asked) => unknown;
  /** Where the thing cannot be made without it. */
  required?: true;
  /** What `--unset` makes of it; without, it cannot be taken back. */
  unset?: null | false | readonly [];
}

export type BodyFields = Readonly<Record<string, BodyField>>;

/** For values that are looked up first. */
export interface Asked {
  session: ServerSession;
  /** `/api/v1/projects/<project>` or `/api/v1/platform`. */
  scope: string;
  nowMs: number;
}

type Options = Readonly<Record<string, unknown>>;

/** The rows of the fields, and of `--unset` where something can be taken back. */
export function fieldOptions(fields: BodyFields, { changes }: { changes: boolean }): ConfigTable {
  const rows = Object.entries(fields).map(([key, { row }]) => [key, row] as const);
  const flags = unsettable(fields).map(({ row }) => row.flag);
  if (!changes || flags.length === 0) return Object.fromEntries(rows);
  const unset = {
    type: 'list',
    flag: 'unset',
    default: undefined,
    placeholder: 'NAME,…',
    help: `Take back what was set: ${flags.join(', ')}.`,
    check: (names: readonly string[]) =>
      names.every((name) => flags.includes(name)) ? undefined : `give some of ${flags.join(', ')}`,
  } as const;
  return { ...Object.fromEntries(rows), unset };
}

const unsettable = (fields: BodyFields): BodyField[] =>
  Object.values(fields).filter(({ unset }) => unset !== undefined);

/** What is missing or given in vain, as a sentence; undefined: nothing. */
export function fieldsProblem(
  fields: BodyFields,
  options: Options,
  { changes }: { changes: boolean },
): string | undefined {
  const given = Object.entries(fields).filter(([key]) => options[key] !== undefined);
  const missing = Object.entries(fields)
    .filter(([key, { required }]) => required === true && options[key] === undefined)
    .map(([, { row }]) => `--${row.flag}`);
  if (!changes) return missing.length === 0 ? undefined : `${missing.join(', ')} is missing`;
  const unset = (options['unset'] ?? []) as readonly string[];
  const twice = given.find(([, { row }]) => unset.includes(row.flag));
  if (twice !== undefined) return `--${twice[1].row.flag} is both set and unset`;
  return given.length + unset.length === 0 ? 'say what to change' : undefined;
}

/** The members of a body, or of a query, that the options ask for. */
export async function membersOf(
  fields: BodyFields,
  options: Options,
  asked: Asked,
): Promise<Record<string, unknown>> {
  const members: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(fields)) {
    const value = options[key];
    if (value === undefined) continue;
    const made = field.to === undefined ? value : await field.to(value as never, asked);
    put(members, field.member, made);
  }
  for (const flag of (options['unset'] ?? []) as readonly string[]) {
    const field = unsettable(fields).find(({ row }) => row.flag === flag);
    if (field !== undefined) put(members, field.member, field.unset);
  }
  return members;
}

function put(members: Record<string, unknown>, member: string, value: unknown): void {
  const [first = '', inner] = member.split('.');
  if (inner === undefined) members[first] = value;
  else members[first] = { ...(members[first] as object | undefined), [inner]: value };
}
