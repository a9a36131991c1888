/**
 * Commands about things of the server, made from data: what is listed, shown and changed, under
 * which path, with which options. One shape for all, so that whoever knows one knows all of them.
 */
import type { ConfigTable } from '../../lib/config.ts';
import type { Command, CommandContext } from '../command.ts';
import type { ServerCall } from '../connection/callServer.ts';
import { endCommand, print, withServer, type ServerSession } from '../connection/withServer.ts';
import { exitCodes } from '../exitCodes.ts';
import { projectOptions, serverOptions, type ServerOptions } from '../serverContext.ts';
import { fieldTable, textTable } from '../textTable.ts';
import { fieldOptions, fieldsProblem, membersOf, type BodyFields } from './bodyFields.ts';
import { csvSwitch, printCsv } from './printCsv.ts';
import { idOf, readPages, type ListedPage, type Reference } from './reference.ts';

/**
 * What a thing belongs to: a project; the platform; either, as `--platform` says; or nothing (its
 * path begins with `/api/v1`).
 */
export type Scope = 'project' | 'platform' | 'either' | 'none';

export interface Operand {
  /** As in `--help`; in brackets when it may be left out. */
  name: string;
  /** Found by its name, and put into the path. */
  reference?: Reference<never>;
  /** Goes into the body instead of the path. */
  member?: string;
  /** What is meant where it is left out, as it stands in the path. */
  otherwise?: (session: ServerSession) => string;
}

interface Shape {
  words: readonly string[];
  summary: string;
  details?: string;
  scope: Scope;
  /** Below the scope; each `{}` is an operand. */
  path: string;
  operands?: readonly Operand[];
  fields?: BodyFields;
}

type Row = readonly (string | null)[];
export type Field = readonly [name: string, value: string | null];

export interface Listing<Item> extends Shape {
  head: readonly string[];
  row(item: Item, nowMs: number): Row;
  /** Whole sentences, the last one of which says how to make one. */
  empty: string;
  /** The list is short and comes whole. */
  whole?: true;
  /** Where the server writes all of it as CSV. */
  csv?: string;
  /** Rows, where nobody says how many; 100 otherwise. */
  usualLimit?: number;
}

/** `xim THINGS list`. The fields filter. */
export function listing<Item>(spec: Listing<Item>): Command {
  const limit = {
    type: 'integer',
    flag: 'limit',
    default: spec.usualLimit ?? 100,
    min: 1,
    max: 100_000,
    placeholder: 'N',
    help: 'How many at most.',
  } as const;
  const own: ConfigTable = {
    ...fieldOptions(spec.fields ?? {}, { changes: false }),
    ...(spec.whole === true ? {} : { limit }),
    ...(spec.csv === undefined ? {} : { csv: csvSwitch }),
  };
  return resourceCommand(spec, own, async ({ call, session, context, options, scope }) => {
    const nowMs = context.clock.now();
    const path = await call.path();
    const filters = await membersOf(spec.fields ?? {}, options, { session, scope, nowMs });
    const query = filters as Readonly<Record<string, string | undefined>>;
    if (spec.csv !== undefined && options['csv'] === true) {
      return printCsv({ session, context, path: `${scope}${spec.csv}`, query });
    }
    const page =
      spec.whole === true
        ? await session.call<ListedPage<Item>>({ method: 'GET', path, query })
        : await readPages<Item>(session, { path, query, limit: options['limit'] as number });
    print({ context, options: options as never }, page, ({ data }) =>
      data.length === 0
        ? `${spec.empty}\n`
        : textTable(
            spec.head,
            data.map((item) => spec.row(item, nowMs)),
          ),
    );
    if (page.has_more === true) {
      context.terminal.note(`There are more; show them with --limit ${2 * page.data.length}.\n`);
    }
    return undefined;
  });
}

export interface Showing<Item> extends Shape {
  show(item: Item, nowMs: number): readonly Field[];
}

/** `xim THINGS show ID`. */
export function showing<Item>(spec: Showing<Item>): Command {
  return resourceCommand(spec, {}, async ({ call, session, context, options }) => {
    const item = await session.call<Item>({ method: 'GET', path: await call.path() });
    print({ context, options: options as never }, item, () =>
      fieldTable(spec.show(item, context.clock.now())),
    );
  });
}

export interface Changing<Answer> extends Shape {
  method: ServerCall['method'];
  /** Makes a thing: repeated safely when the connection breaks. */
  creates?: true;
  /** Can be told to go only from the version that was seen. */
  versioned?: true;
  /** Lays the body over what there is, where the server takes a member as a whole. */
  complete?: (
    body: Record<string, unknown>,
    there: { session: ServerSession; path: string },
  ) => Promise<{ body: Record<string, unknown>; version?: number }>;
  /** Whole question, asked before what cannot be taken back. */
  confirm?: (operands: readonly string[]) => string;
  /** For standard output. */
  say(answer: Answer, given: { operands: readonly string[]; nowMs: number }): string;
  /** For standard error, beside it. */
  note?: (answer: Answer, nowMs: number) => string;
}

const yes = {
  type: 'switch',
  flag: 'yes',
  default: false,
  help: 'Do not ask whether it is meant.',
} as const;

const ifVersion = {
  type: 'integer',
  flag: 'if-version',
  default: undefined,
  min: 0,
  placeholder: 'N',
  help: 'Only if nobody has changed it since it had this version.',
} as const;

/** `xim THINGS create`, `set`, `delete` and other changes. */
export function changing<Answer>(spec: Changing<Answer>): Command {
  const { fields = {}, method } = spec;
  const changes = method === 'PATCH';
  const own: ConfigTable = {
    ...fieldOptions(fields, { changes }),
    ...(spec.versioned === true ? { ifVersion } : {}),
    ...(spec.confirm === undefined ? {} : { yes }),
  };
  return resourceCommand(
    spec,
    own,
    async ({ call, session, context, options, scope, operands }) => {
      const problem = fieldsProblem(fields, options, { changes });
      if (problem !== undefined) {
        endCommand(`${problem}. Help: xim ${spec.words.join(' ')} --help`, exitCodes.usage);
      }
      if (spec.confirm !== undefined) await confirmed(spec.confirm(operands), context, options);
      const nowMs = context.clock.now();
      const path = await call.path();
      const members = await membersOf(fields, options, { session, scope, nowMs });
      const asked = { ...call.members(), ...members };
      const whole = await spec.complete?.(asked, { session, path });
      const body = whole?.body ?? asked;
      const answer = await session.call<Answer>({
        method,
        path,
        ...(Object.keys(body).length === 0 ? {} : { body }),
        ifVersion: (options['ifVersion'] as number | undefined) ?? whole?.version,
        creates: spec.creates === true,
      });
      for (const warning of warningsOf(answer)) context.terminal.note(`Warning: ${warning}\n`);
      if (options['output'] !== 'json') context.terminal.note(spec.note?.(answer, nowMs) ?? '');
      print({ context, options: options as never }, answer, () =>
        spec.say(answer, { operands, nowMs }),
      );
    },
  );
}

function warningsOf(answer: unknown): readonly string[] {
  return (answer as { warnings?: string[] }).warnings ?? [];
}

async function confirmed(
  question: string,
  { input }: CommandContext,
  options: Readonly<Record<string, unknown>>,
): Promise<void> {
  if (options['yes'] === true) return;
  if (!input.interactive) {
    endCommand('this cannot be taken back; say that it is meant with --yes', exitCodes.usage);
  }
  const answer = await input.line(`${question} (yes/no) `);
  if (answer?.trim().toLowerCase() === 'yes') return;
  endCommand('nothing was changed.', exitCodes.refused);
}

interface Running {
  session: ServerSession;
  context: CommandContext;
  options: Readonly<Record<string, unknown>>;
  operands: readonly string[];
  scope: string;
  call: {
    /** The path with its operands in place; names are looked up for it. */
    path(): Promise<string>;
    /** Operands that belong into the body. */
    members(): Record<string, unknown>;
  };
}

/** `--platform`. */
export const platformSwitch = {
  type: 'switch',
  flag: 'platform',
  default: false,
  help: 'The platform’s instead of a project’s; for operators.',
  group: 'Server',
} as const;

function scopeOptions(scope: Scope): ConfigTable {
  switch (scope) {
    case 'project':
      return projectOptions;
    case 'either':
      return { platform: platformSwitch, ...projectOptions };
    case 'platform':
    case 'none':
      return serverOptions;
  }
}

/** A command of this shape, whose work is its own. */
export function resourceCommand(
  spec: Shape,
  own: ConfigTable,
  work: (running: Running) => Promise<number | void>,
): Command {
  const { words, summary, details, scope, operands = [] } = spec;
  return {
    words,
    summary,
    ...(details === undefined ? {} : { details }),
    ...(operands.length === 0 ? {} : { operands: operands.map(({ name }) => name) }),
    options: { ...own, ...scopeOptions(scope) },
    run: (context, { options, operands: given }) => {
      const name = words.join(' ');
      const server = options as unknown as ServerOptions;
      return withServer({ name, context, options: server }, (session) => {
        const at = scopeOf(scope, session, options);
        const call = {
          path: () => pathOf(spec, { session, scope: at, given }),
          members: () => operandMembers(operands, given),
        };
        return work({ session, context, options, operands: given, scope: at, call });
      });
    },
  };
}

function scopeOf(
  scope: Scope,
  session: ServerSession,
  options: Readonly<Record<string, unknown>>,
): string {
  if (scope === 'none') return '';
  return session.scopePath(scope === 'platform' || options['platform'] === true);
}

async function pathOf(
  { path, operands = [] }: Shape,
  { session, scope, given }: { session: ServerSession; scope: string; given: readonly string[] },
): Promise<string> {
  const parts: string[] = [];
  for (const [at, { reference, member, otherwise }] of operands.entries()) {
    if (member !== undefined) continue;
    const text = given[at];
    const id =
      reference === undefined || text === undefined
        ? (text ?? otherwise?.(session) ?? '')
        : await idOf(reference, text, { session, scope });
    parts.push(encodeURIComponent(id));
  }
  return `${scope}${path.replaceAll('{}', () => parts.shift() ?? '')}`;
}

function operandMembers(
  operands: readonly Operand[],
  given: readonly string[],
): Record<string, unknown> {
  const members = operands.flatMap(({ member }, at) =>
    member === undefined || given[at] === undefined ? [] : [[member, given[at]] as const],
  );
  return Object.fromEntries(members);
}
