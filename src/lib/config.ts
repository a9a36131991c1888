/**
 * Configuration as one declarative table. Each row names a setting's key, environment variable,
 * flag, type, default, help and limits; typed values, `--help`, the documentation's table and
 * every error message come from the row.
 *
 * Parts: the rows (here), `readConfig` (here), texts made from a table (`configText.ts`).
 *
 * Invariants
 * F1 A flag beats the environment, the environment beats the default.
 * F2 A value that breaks its row is refused with a sentence that names what was given, where, and
 *    what is allowed. All problems are reported together. A secret's value is never repeated.
 * F3 An unknown flag is a problem; an unknown environment variable is not (others own them), except
 *    below the table's own prefix, where it is a likely slip and comes back as a warning.
 */
import { parseDuration, parseSize, parseWholeNumber, type Parsed } from './text/quantities.ts';

interface RowBase<Value> {
  /** Name of the environment variable; undefined when only a flag makes sense. */
  env?: string;
  /** Name of the flag without `--`; undefined when only the environment makes sense. */
  flag?: string;
  /** One or two sentences for `--help` and the documentation. */
  help: string;
  /** What stands for the value in `--help`, e.g. `DIR`. */
  placeholder?: string;
  /** Never shown, neither in errors nor in texts. */
  secret?: boolean;
  /** Heading in `--help` and the documentation. */
  group?: string;
  /** Returns a sentence that says what is allowed when the value is not. */
  check?: (value: Value) => string | undefined;
}

type WithDefault<Value> = RowBase<Value> & { default: Value | undefined };

export type ConfigRow =
  | (WithDefault<string> & { type: 'text' })
  | (WithDefault<boolean> & { type: 'switch' })
  | (WithDefault<number> & { type: 'integer'; min?: number; max?: number })
  | (WithDefault<number> & { type: 'number'; min?: number; max?: number })
  /** Read as `500ms`, `30s`, `5m`, `2h`, `7d`; the value is in ms. */
  | (WithDefault<number> & { type: 'duration'; min?: number; max?: number })
  /** Read as `1000`, `64KiB`, `16MiB`, `2GB`; the value is in bytes. */
  | (WithDefault<number> & { type: 'size'; min?: number; max?: number })
  | (WithDefault<string> & { type: 'choice'; choices: readonly string[] })
  /** Parts divided by commas; the flag may also be given many times. */
  | (WithDefault<readonly string[]> & { type: 'list' })
  /** A JSON object, e.g. overrides of a table of numbers. */
  | (WithDefault<Readonly<Record<string, unknown>>> & { type: 'json' });

export type ConfigTable = Readonly<Record<string, ConfigRow>>;

interface ValueOfType {
  text: string;
  switch: boolean;
  integer: number;
  number: number;
  duration: number;
  size: number;
  choice: string;
  list: readonly string[];
  json: Readonly<Record<string, unknown>>;
}

type RowValue<Row extends ConfigRow> = Row extends { choices: readonly (infer Choice)[] }
  ? Choice
  : ValueOfType[Row['type']];

/** The typed values of a table. A row whose default is undefined may be undefined. */
export type ConfigOf<Table extends ConfigTable> = {
  readonly [Key in keyof Table]:
    | RowValue<Table[Key]>
    | (Table[Key]['default'] extends undefined ? undefined : never);
};

/** Checks a table's shape at compile time and keeps its exact types. */
export function defineConfig<const Table extends ConfigTable>(table: Table): Table {
  return table;
}

/** Where a value came from. */
export type ConfigSource = 'flag' | 'environment' | 'default';

export type ConfigOutcome<Table extends ConfigTable> =
  | {
      kind: 'ok';
      config: ConfigOf<Table>;
      sources: Readonly<Record<keyof Table, ConfigSource>>;
      /** Arguments that are no flags, in order. */
      positionals: readonly string[];
      /** Sentences about likely slips (F3). */
      warnings: readonly string[];
    }
  | { kind: 'help' }
  | { kind: 'invalid'; problems: readonly string[] };

export interface ConfigInput {
  /** Arguments after the command's name. */
  args: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
  /** Variables that start with it and are in no row are warned about, e.g. `XIM_`. */
  envPrefix?: string;
  /** Variables below the prefix that other tables or programs own. */
  foreignEnv?: readonly string[];
}

/** Reads a table from arguments and environment (F1–F3). `--help` and `-h` win over everything. */
export function readConfig<const Table extends ConfigTable>(
  table: Table,
  input: ConfigInput,
): ConfigOutcome<Table> {
  const flags = readFlags(table, input.args);
  if (flags.help) return { kind: 'help' };
  const problems = [...flags.problems];
  const config: Record<string, unknown> = {};
  const sources: Record<string, ConfigSource> = {};
  for (const [key, row] of Object.entries(table)) {
    const given = givenTexts(row, { flags: flags.values, env: input.env });
    sources[key] = given?.source ?? 'default';
    if (given === undefined) {
      config[key] = row.default;
      continue;
    }
    const outcome = readValue(row, given.texts);
    if ('problem' in outcome) problems.push(problemText(row, given, outcome.problem));
    else config[key] = outcome.value;
  }
  if (problems.length > 0) return { kind: 'invalid', problems };
  return {
    kind: 'ok',
    config: config as ConfigOf<Table>,
    sources: sources as Record<keyof Table, ConfigSource>,
    positionals: flags.positionals,
    warnings: unknownVariables(table, input),
  };
}

interface Given {
  source: 'flag' | 'environment';
  /** As the user wrote it: `--port` or `XIM_PORT`. */
  name: string;
  texts: readonly string[];
}

function givenTexts(
  row: ConfigRow,
  from: { flags: ReadonlyMap<string, string[]>; env: ConfigInput['env'] },
): Given | undefined {
  const flagTexts = row.flag === undefined ? undefined : from.flags.get(row.flag);
  if (flagTexts !== undefined) return { source: 'flag', name: `--${row.flag}`, texts: flagTexts };
  const text = row.env === undefined ? undefined : from.env[row.env];
  // An empty variable is how many tools unset one.
  if (row.env === undefined || text === undefined || text === '') return undefined;
  return { source: 'environment', name: row.env, texts: [text] };
}

function problemText(row: ConfigRow, given: Given, allowed: string): string {
  // Of a flag that is given twice the last one counts, except in a list.
  const text = row.type === 'list' ? given.texts.join(',') : given.texts.at(-1);
  const got = row.secret === true ? 'its value' : JSON.stringify(text);
  return `${given.name}: ${got} is not allowed; ${allowed}`;
}

function readValue(row: ConfigRow, texts: readonly string[]): Parsed<unknown> {
  const parsed = parseRow(row, texts);
  if ('problem' in parsed) return parsed;
  // The row's own check takes the row's own value: parseRow has just made it from the row's type.
  const check = row.check as ((value: unknown) => string | undefined) | undefined;
  const problem = check?.(parsed.value);
  return problem === undefined ? parsed : { problem };
}

function parseRow(row: ConfigRow, texts: readonly string[]): Parsed<unknown> {
  const text = texts.at(-1) ?? '';
  switch (row.type) {
    case 'text':
      // An unset variable in a script: `--data-dir "$DIR"` must not mean the working directory.
      return text === '' ? { problem: 'give a value, or leave it out' } : { value: text };
    case 'switch':
      return parseSwitch(text);
    case 'integer':
      return within(parseWholeNumber(text), row);
    case 'number':
      return within(parseNumber(text), row);
    case 'duration':
      return within(parseDuration(text), row, 'ms');
    case 'size':
      return within(parseSize(text), row, 'bytes');
    case 'choice':
      return row.choices.includes(text)
        ? { value: text }
        : { problem: `give one of ${row.choices.join(', ')}` };
    case 'list':
      return { value: texts.flatMap((part) => part.split(',')).flatMap((part) => trimmed(part)) };
    case 'json':
      return parseObject(text);
  }
}

const trimmed = (part: string): string[] => (part.trim() === '' ? [] : [part.trim()]);

function parseSwitch(text: string): Parsed<boolean> {
  if (['1', 'true', 'yes', 'on'].includes(text.toLowerCase())) return { value: true };
  if (['0', 'false', 'no', 'off'].includes(text.toLowerCase())) return { value: false };
  return { problem: 'give true or false' };
}

function parseNumber(text: string): Parsed<number> {
  const value = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(value) ? { value } : { problem: 'give a number' };
}

function parseObject(text: string): Parsed<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
      return { value: value as Record<string, unknown> };
    }
  } catch {
    // Not JSON at all: the same problem as JSON of another kind.
  }
  return { problem: 'give a JSON object' };
}

function within(
  parsed: Parsed<number>,
  row: { min?: number; max?: number },
  unit?: string,
): Parsed<number> {
  if ('problem' in parsed) return parsed;
  const { min = -Infinity, max = Infinity } = row;
  if (parsed.value >= min && parsed.value <= max) return parsed;
  const ends = [
    ...(min === -Infinity ? [] : [`at least ${min}`]),
    ...(max === Infinity ? [] : [`at most ${max}`]),
  ];
  return { problem: `give ${ends.join(' and ')}${unit === undefined ? '' : ` ${unit}`}` };
}

interface Flags {
  help: boolean;
  values: Map<string, string[]>;
  positionals: string[];
  problems: string[];
}

/** `--flag value`, `--flag=value`, `--switch`, `--no-switch`; what follows `--` is positional. */
function readFlags(table: ConfigTable, args: readonly string[]): Flags {
  const rows = new Map(Object.values(table).flatMap((row) => (row.flag ? [[row.flag, row]] : [])));
  const flags: Flags = { help: false, values: new Map(), positionals: [], problems: [] };
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === '--') {
      flags.positionals.push(...rest);
      break;
    }
    if (arg === '--help' || arg === '-h') flags.help = true;
    else if (arg.startsWith('-') && arg !== '-') {
      readFlag(arg, { rows: rows as Map<string, ConfigRow>, rest, flags });
    } else flags.positionals.push(arg);
  }
  return flags;
}

function readFlag(
  arg: string,
  { rows, rest, flags }: { rows: Map<string, ConfigRow>; rest: string[]; flags: Flags },
): void {
  const [, dashes, name = '', inline] = /^(-+)([^=]*)(?:=([\s\S]*))?$/.exec(arg) ?? [];
  const row = dashes === '--' ? rows.get(name) : undefined;
  if (row?.type === 'switch') return give(flags, name, inline ?? 'true');
  if (row !== undefined) {
    const value = inline ?? (isFlag(rest[0], rows) ? undefined : rest.shift());
    if (value === undefined) flags.problems.push(`--${name} needs a value`);
    else give(flags, name, value);
    return;
  }
  const positive = name.startsWith('no-') ? rows.get(name.slice(3)) : undefined;
  if (dashes === '--' && positive?.type === 'switch' && inline === undefined) {
    return give(flags, name.slice(3), 'false');
  }
  flags.problems.push(`${dashes}${name} is not a flag of this command; --help lists them`);
}

/** Whether an argument is a flag of the table; as a value it is given with `=`. */
function isFlag(arg: string | undefined, rows: ReadonlyMap<string, ConfigRow>): boolean {
  const [, name = ''] = /^--(?:no-)?([^=]+)/.exec(arg ?? '') ?? [];
  return rows.has(name);
}

function give(flags: Flags, name: string, value: string): void {
  const before = flags.values.get(name);
  if (before === undefined) flags.values.set(name, [value]);
  else before.push(value);
}

function unknownVariables(table: ConfigTable, input: ConfigInput): string[] {
  const prefix = input.envPrefix;
  if (prefix === undefined) return [];
  const known = new Set(Object.values(table).map((row) => row.env));
  for (const name of input.foreignEnv ?? []) known.add(name);
  return Object.keys(input.env)
    .filter((name) => name.startsWith(prefix) && !known.has(name))
    .map((name) => `${name} is set, but is not a setting of this command`);
}
