/** `xim endpoints`: what clients call. */
import type { ChangedEndpointAnswer, EndpointAnswer } from '../../api/control/endpoints.ts';
import { formatDuration } from '../../lib/text/quantities.ts';
import { defineCommand, type Command } from '../command.ts';
import { contextStore } from '../connection/contextStore.ts';
import { endCommand, print, withServer } from '../connection/withServer.ts';
import { exitCodes } from '../exitCodes.ts';
import { serverOptions } from '../serverContext.ts';
import { ago, fieldTable, joined, onOff } from '../textTable.ts';
import { agentRef } from './agentRef.ts';
import type { Asked, BodyFields } from './bodyFields.ts';
import { modelRef } from './modelCommands.ts';
import { listRow, switchRow, textRow } from './optionRows.ts';
import { idOf } from './reference.ts';
import { changing, listing, showing, type Field } from './resourceCommand.ts';

const path = '/endpoints/{}';
const operand = { name: 'SLUG' } as const;

const model = {
  row: textRow({ flag: 'model', placeholder: 'MODEL', help: 'What it serves: name or id.' }),
  member: 'model_id',
  to: (name: string, asked: Asked) => idOf(modelRef, name, asked),
} as const;

const tier = {
  row: textRow({
    flag: 'tier',
    placeholder: 'TIER',
    help: 'What serves it, and at which limits and price (see: xim tiers list).',
  }),
  member: 'tier',
} as const;

const fallback: BodyFields = {
  fallback: {
    row: switchRow({
      flag: 'fallback',
      help: 'Whether shared agents serve when your own cannot.',
      group: 'Fallback',
    }),
    member: 'fallback.enabled',
  },
  fallbackAfter: {
    row: {
      type: 'duration',
      flag: 'fallback-after',
      default: undefined,
      min: 0,
      placeholder: 'TIME',
      help: 'How long to wait for an own agent first, e.g. 2s; 0s: not at all.',
      group: 'Fallback',
    },
    member: 'fallback.after_ms',
  },
  fallbackTier: {
    row: textRow({
      flag: 'fallback-tier',
      placeholder: 'TIER',
      help: 'The shared tier that serves then; by default the endpoint’s own.',
      group: 'Fallback',
    }),
    member: 'fallback.tier',
    unset: null,
  },
};

const settings: BodyFields = {
  active: { row: switchRow({ flag: 'active', help: 'Whether it answers.' }), member: 'active' },
  region: {
    row: textRow({
      flag: 'region',
      placeholder: 'REGION',
      help: 'Where its requests come from, unless they say so themselves.',
    }),
    member: 'region',
    unset: null,
  },
  agents: {
    row: listRow({
      flag: 'agents',
      placeholder: 'AGENT,…',
      help: 'Exactly these agents serve it, and nothing else; names or ids.',
    }),
    member: 'bound_agent_ids',
    to: (names: readonly string[], asked: Asked) =>
      Promise.all(names.map((name) => idOf(agentRef, name, asked))),
    unset: [],
  },
  minimumIsolation: {
    row: {
      type: 'choice',
      flag: 'minimum-isolation',
      choices: ['none', 'logical', 'process', 'single_use', 'microvm'],
      default: undefined,
      placeholder: 'LEVEL',
      help: 'The least that an agent must offer: none, logical, process, single_use, microvm.',
    },
    member: 'minimum_isolation',
    unset: null,
  },
  resume: {
    row: switchRow({ flag: 'resume', help: 'Whether a broken stream goes on with another agent.' }),
    member: 'resume',
  },
  queueTimeout: {
    row: {
      type: 'duration',
      flag: 'queue-timeout',
      default: undefined,
      min: 1,
      placeholder: 'TIME',
      help: 'How long a request may wait for an agent; at most 30s, the default.',
    },
    member: 'queue_timeout_ms',
  },
  ...fallback,
};

const say = (item: EndpointAnswer, { nowMs }: { nowMs: number }): string =>
  fieldTable(show(item, nowMs));

function show(item: EndpointAnswer, nowMs: number): Field[] {
  const agents = item.bound_agents.map(({ name }) => name);
  return [
    ['slug', item.slug],
    ['id', item.id],
    ['base URL', item.base_url],
    ['model', item.model],
    ['tier', item.tier],
    ['state', item.active ? 'active' : 'inactive'],
    ['fallback', fallbackText(item)],
    ['agents', item.exclusive ? (joined(agents) ?? 'none alive: nobody serves it') : 'any'],
    ['region', item.region],
    ['isolation', item.minimum_isolation ?? 'the tier’s'],
    ['resume', onOff(item.resume)],
    ['queue timeout', formatDuration(item.queue_timeout_ms)],
    ['now', `${item.agents_ready} ready, ${item.running} running, ${item.waiting} waiting`],
    ['changed', ago(item.updated_at, nowMs)],
    ['version', String(item.version)],
  ];
}

function fallbackText({
  fallback: { enabled, after_ms: afterMs, tier: other },
}: EndpointAnswer): string {
  if (!enabled) return 'off';
  const when = afterMs === 0 ? 'at once' : `after ${formatDuration(afterMs)}`;
  return `${when}, on ${other ?? 'the same tier'}`;
}

const use = defineCommand({
  words: ['endpoints', 'use'],
  operands: ['SLUG'],
  summary: 'Choose the endpoint that xim chat talks to',
  options: serverOptions,
  run: (context, { options, operands: [slug = ''] }) =>
    withServer({ name: 'endpoints use', context, options }, async (session) => {
      const at = `${session.scopePath(false)}/endpoints/${encodeURIComponent(slug)}`;
      const found = await session.call<EndpointAnswer>({ method: 'GET', path: at });
      if (session.contextName === null) {
        endCommand(
          'credentials.json keeps its endpoint. Sign in first (xim login), or name another with ' +
            'xim chat --endpoint.',
          exitCodes.usage,
        );
      }
      const store = contextStore(context.env);
      store.update(session.contextName, (now) => ({ ...now, endpoint: found.slug }));
      print({ context, options }, found, () => `xim chat talks to ${found.slug} now.\n`);
    }),
});

export const endpointCommands: readonly Command[] = [
  listing<EndpointAnswer>({
    words: ['endpoints', 'list'],
    summary: 'List endpoints, and how they do now',
    scope: 'project',
    path: '/endpoints',
    head: ['SLUG', 'TIER', 'MODEL', 'STATE', 'READY', 'RUNNING', 'WAITING', 'BASE URL'],
    row: (item) => [
      item.slug,
      item.tier,
      item.model,
      item.active ? 'active' : 'inactive',
      String(item.agents_ready),
      String(item.running),
      String(item.waiting),
      item.base_url,
    ],
    empty: 'No endpoints. Make one with: xim endpoints create SLUG --model MODEL --tier TIER',
  }),
  showing<EndpointAnswer>({
    words: ['endpoints', 'show'],
    summary: 'Show an endpoint',
    scope: 'project',
    path,
    operands: [operand],
    show,
  }),
  changing<ChangedEndpointAnswer>({
    words: ['endpoints', 'create'],
    summary: 'Make an endpoint',
    scope: 'project',
    method: 'POST',
    creates: true,
    path: '/endpoints',
    operands: [{ name: 'SLUG', member: 'slug' }],
    fields: { model: { ...model, required: true }, tier: { ...tier, required: true }, ...settings },
    say,
    note: ({ slug }) => `Try it with: xim chat --endpoint ${slug}\n`,
  }),
  changing<ChangedEndpointAnswer>({
    words: ['endpoints', 'set'],
    summary: 'Change an endpoint; the router follows at once',
    scope: 'project',
    method: 'PATCH',
    versioned: true,
    path,
    operands: [operand],
    fields: { model, tier, ...settings },
    say,
  }),
  changing<{ revoked_key_ids: string[] }>({
    words: ['endpoints', 'delete'],
    summary: 'Delete an endpoint, and revoke the keys that are pinned to it',
    scope: 'project',
    method: 'DELETE',
    path,
    operands: [operand],
    confirm: ([slug]) => `Delete the endpoint ${slug}, and revoke the keys that are pinned to it?`,
    say: ({ revoked_key_ids: keys }, { operands: [slug] }) =>
      `${slug} is deleted. ${keys.length === 0 ? '' : `Revoked keys: ${keys.join(', ')}. `}` +
      'Its usage records stay.\n',
  }),
  use,
];
