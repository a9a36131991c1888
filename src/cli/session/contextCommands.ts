/** `xim context`: the servers that somebody signed in to on this machine. */
import { existsSync } from 'node:fs';
import type { ConfigOf } from '../../lib/config.ts';
import { defineCommand, type Command, type CommandContext } from '../command.ts';
import { callServer } from '../connection/callServer.ts';
import {
  contextStore,
  isContextName,
  localContextName,
  type ServerContext,
} from '../connection/contextStore.ts';
import { endCommand, endingOf } from '../connection/withServer.ts';
import { exitCodes } from '../exitCodes.ts';
import { localCredentials, readServerContext, serverOptions } from '../serverContext.ts';
import { fieldTable, textTable, until } from '../textTable.ts';

const options = { output: serverOptions.output };
type Options = ConfigOf<typeof options>;

/** What is shown of a context; X1: never what opens the server. */
interface Shown {
  name: string;
  in_use: boolean;
  server: string;
  pin: string | null;
  /** E-mail address; null: a management key. */
  email: string | null;
  /** Of the session; null: does not end by itself. */
  expires_at: string | null;
  project: string | null;
  endpoint: string | null;
}

const list = defineCommand({
  words: ['context', 'list'],
  summary: 'List the servers that you have signed in to',
  options,
  run(context, { options: given }) {
    const store = contextStore(context.env);
    const names = [...localNames(context), ...store.list()];
    const shown = names.flatMap((name) => shownContext(context, name) ?? []);
    print(context, given, { data: shown }, () =>
      shown.length === 0
        ? 'No contexts. Sign in to a server with: xim login URL\n'
        : contextTable(shown, context.clock.now()),
    );
    return Promise.resolve(exitCodes.done);
  },
});

function contextTable(shown: readonly Shown[], nowMs: number): string {
  return textTable(
    ['', 'NAME', 'SERVER', 'AS', 'PROJECT', 'ENDS'],
    shown.map((one) => [
      one.in_use ? '*' : '',
      one.name,
      one.server,
      one.email ?? 'management key',
      one.project,
      one.expires_at === null ? 'never' : until(one.expires_at, nowMs),
    ]),
  );
}

const show = defineCommand({
  words: ['context', 'show'],
  operands: ['[NAME]'],
  summary: 'Show a context, by default the one in use',
  options,
  run: (context, { options: given, operands: [wanted] }) =>
    endingOf({ name: 'context show', context }, () => {
      const name = wanted ?? contextStore(context.env).current() ?? localContextName;
      const shown = shownContext(context, name);
      if (shown === undefined) return noSuch(name);
      print(context, given, shown, () => fieldTable(fieldsOf(shown, context.clock.now())));
      return Promise.resolve();
    }),
});

function fieldsOf(shown: Shown, nowMs: number): [string, string | null][] {
  return [
    ['name', `${shown.name}${shown.in_use ? ' (in use)' : ''}`],
    ['server', shown.server],
    ['pin', shown.pin],
    ['as', shown.email ?? 'management key'],
    ['ends', shown.expires_at === null ? 'never' : until(shown.expires_at, nowMs)],
    ['project', shown.project],
    ['endpoint', shown.endpoint],
  ];
}

const use = defineCommand({
  words: ['context', 'use'],
  operands: ['NAME'],
  summary: 'Choose the server that commands talk to',
  details: `"${localContextName}" is the server of this machine, by its credentials.json.`,
  options,
  run: (context, { options: given, operands: [name = ''] }) =>
    endingOf({ name: 'context use', context }, () => {
      const shown = shownContext(context, name);
      if (shown === undefined) return noSuch(name);
      contextStore(context.env).use(name === localContextName ? undefined : name);
      print(
        context,
        given,
        { ...shown, in_use: true },
        () => `${name} (${shown.server}) is in use.\n`,
      );
      return Promise.resolve();
    }),
});

const remove = defineCommand({
  words: ['context', 'remove'],
  operands: ['NAME'],
  summary: 'Sign out and forget a context',
  options,
  run: (context, { options: given, operands: [name = ''] }) =>
    endingOf({ name: 'context remove', context }, async () => {
      const store = contextStore(context.env);
      if (name === localContextName) {
        endCommand(
          'credentials.json is the server’s own; it is not removed here.',
          exitCodes.usage,
        );
      }
      if (!store.list().includes(name)) return noSuch(name);
      const read = store.read(name);
      if (read.kind === 'ok') await signOut(context, read.context);
      if (store.current() === name) store.use(undefined);
      store.remove(name);
      print(context, given, { name, removed: true }, () => `${name} is forgotten.\n`);
      return undefined;
    }),
});

/** A session that is forgotten here should be over there; whether it is does not hold us up. */
async function signOut(
  { clock, random, terminal }: CommandContext,
  known: ServerContext,
): Promise<void> {
  const { auth } = known;
  if (auth.kind !== 'session') return;
  const call = { method: 'POST', path: '/api/v1/sign-out' } as const;
  const outcome = await callServer({ address: known, auth, clock, random }, call);
  if (outcome.kind === 'ok' || (outcome.kind === 'refused' && outcome.status === 401)) return;
  terminal.note(`The session could not be ended there: ${outcome.message}\n`);
}

/** The server of this machine has no context file. */
function localNames({ env }: CommandContext): string[] {
  return existsSync(localCredentials(env)) ? [localContextName] : [];
}

function shownContext(context: CommandContext, name: string): Shown | undefined {
  const { env } = context;
  if (!isContextName(name)) return undefined;
  const found = readServerContext({ context: name, dataDir: undefined }, env);
  if (found.kind === 'missing') return undefined;
  const { auth, server, pin, project, endpoint } = found.context;
  const current = contextStore(env).current() ?? localContextName;
  return {
    name,
    in_use: name === current,
    server,
    pin,
    email: auth.kind === 'session' ? auth.email : null,
    expires_at: auth.kind === 'session' ? auth.expires_at : null,
    project,
    endpoint,
  };
}

function noSuch(name: string): never {
  endCommand(
    `there is no context "${name}". See those there are: xim context list`,
    exitCodes.usage,
  );
}

function print<Answer>(
  { terminal }: CommandContext,
  given: Options,
  answer: Answer,
  asText: () => string,
): void {
  terminal.out(given.output === 'json' ? `${JSON.stringify(answer)}\n` : asText());
}

export const contextCommands: readonly Command[] = [list, show, use, remove];
