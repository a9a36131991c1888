/** `xim projects`: make, look, change, delete, and choose the one that commands are about. */
import type { ProjectAnswer } from '../../api/control/projects.ts';
import { defineCommand, type Command } from '../command.ts';
import { contextStore } from '../connection/contextStore.ts';
import { endCommand, print, withServer } from '../connection/withServer.ts';
import { exitCodes } from '../exitCodes.ts';
import { serverOptions } from '../serverContext.ts';
import { ago, fieldTable, onOff } from '../textTable.ts';
import { changing, listing, showing, type Field } from './resourceCommand.ts';

const path = '/api/v1/projects/{}';
const project = { name: 'SLUG' } as const;

function show(item: ProjectAnswer, nowMs: number): Field[] {
  return [
    ['slug', item.slug],
    ['name', item.name],
    ['id', item.id],
    ['your role', item.role],
    ['shared agents', onOff(item.shared_access)],
    ['created', ago(item.created_at, nowMs)],
    ['version', String(item.version)],
  ];
}

const name = {
  row: {
    type: 'text',
    flag: 'name',
    default: undefined,
    placeholder: 'NAME',
    help: 'What people see.',
  },
  member: 'name',
} as const;

const use = defineCommand({
  words: ['projects', 'use'],
  operands: ['SLUG'],
  summary: 'Choose the project that commands are about',
  options: serverOptions,
  run: (context, { options, operands: [slug = ''] }) =>
    withServer({ name: 'projects use', context, options }, async (session) => {
      const at = `/api/v1/projects/${encodeURIComponent(slug)}`;
      const found = await session.call<ProjectAnswer>({ method: 'GET', path: at });
      if (session.contextName === null) {
        endCommand(
          'credentials.json is for one project. Sign in first (xim login), or name another ' +
            'project with --project.',
          exitCodes.usage,
        );
      }
      contextStore(context.env).update(session.contextName, (now) => ({
        ...now,
        project: found.slug,
        endpoint: now.project === found.slug ? now.endpoint : null,
      }));
      print({ context, options }, found, () => `Commands are about ${found.slug} now.\n`);
    }),
});

export const projectCommands: readonly Command[] = [
  listing<ProjectAnswer>({
    words: ['projects', 'list'],
    summary: 'List the projects that are open to you',
    scope: 'none',
    path: '/api/v1/projects',
    head: ['SLUG', 'NAME', 'YOUR ROLE', 'SHARED AGENTS', 'CREATED'],
    row: (item, nowMs) => [
      item.slug,
      item.name,
      item.role,
      onOff(item.shared_access),
      ago(item.created_at, nowMs),
    ],
    empty: 'No projects. Make one with: xim projects create NAME',
  }),
  showing<ProjectAnswer>({
    words: ['projects', 'show'],
    summary: 'Show a project, by default the one in use',
    scope: 'none',
    path,
    operands: [{ name: '[SLUG]', otherwise: (session) => session.project() }],
    show,
  }),
  changing<ProjectAnswer>({
    words: ['projects', 'create'],
    summary: 'Make a project, which you then own',
    scope: 'none',
    method: 'POST',
    creates: true,
    path: '/api/v1/projects',
    operands: [{ name: 'NAME', member: 'name' }],
    fields: {
      slug: {
        row: {
          type: 'text',
          flag: 'slug',
          default: undefined,
          placeholder: 'SLUG',
          help: 'In addresses and keys; fixed after creation. By default made of the name.',
        },
        member: 'slug',
      },
      sharedAccess: {
        row: {
          type: 'switch',
          flag: 'shared-access',
          default: undefined,
          help: 'Whether shared agents may serve it: they may, unless --no-shared-access.',
        },
        member: 'shared_access',
      },
    },
    say: (item, { nowMs }) => fieldTable(show(item, nowMs)),
    note: ({ slug }) => `Choose it with: xim projects use ${slug}\n`,
  }),
  changing<ProjectAnswer>({
    words: ['projects', 'set'],
    summary: 'Change a project',
    scope: 'none',
    method: 'PATCH',
    versioned: true,
    path,
    operands: [project],
    fields: {
      name,
      sharedAccess: {
        row: {
          type: 'switch',
          flag: 'shared-access',
          default: undefined,
          help:
            'Whether shared agents may serve it. An owner may take it away (--no-shared-access); ' +
            'only an operator gives it.',
        },
        member: 'shared_access',
      },
    },
    say: (item, { nowMs }) => fieldTable(show(item, nowMs)),
  }),
  changing<{ id: string }>({
    words: ['projects', 'delete'],
    summary: 'Delete a project that has no endpoints and no agents any more',
    scope: 'none',
    method: 'DELETE',
    path,
    operands: [project],
    confirm: ([slug]) => `Delete ${slug} with its members, keys and own models?`,
    say: (_, { operands: [slug] }) => `${slug} is deleted. Its usage records stay.\n`,
  }),
  use,
];
