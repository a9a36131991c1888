/**
 * What a chat talks to: an endpoint, and a key that opens it. The key is the context's; where it
 * has none for the project yet, one is made for this machine and kept.
 */
import type { ShownApiKeyAnswer } from '../../api/control/apiKeys.ts';
import type { EndpointAnswer } from '../../api/control/endpoints.ts';
import type { ListAnswer } from '../../api/control/lists.ts';
import type { CommandContext } from '../command.ts';
import { contextStore } from '../connection/contextStore.ts';
import { endCommand, type ServerSession } from '../connection/withServer.ts';
import { exitCodes } from '../exitCodes.ts';
import { projectOptions } from '../serverContext.ts';

/** How long a key that is made here is good, in ms. */
const keyLifetimeMs = 30 * 86_400_000;

/** Options of commands that ask an endpoint, behind their own. */
export const askingOptions = {
  apiKey: {
    type: 'text',
    env: 'XIM_API_KEY',
    default: undefined,
    secret: true,
    help: 'API key to ask with; by default the context’s, which is made when there is none.',
    group: 'Server',
  },
  ...projectOptions,
} as const;

export interface ChatTarget {
  project: string;
  endpoint: string;
  key: string;
  /** Another key, where the present one is refused; null: it is not ours to replace. */
  renew: (() => Promise<string>) | null;
}

export interface TargetWish {
  endpoint: string | undefined;
  apiKey: string | undefined;
}

export async function chatTarget(
  session: ServerSession,
  context: CommandContext,
  wish: TargetWish,
): Promise<ChatTarget> {
  const project = session.project();
  const endpoint = wish.endpoint ?? (await usualEndpoint(session));
  if (wish.apiKey !== undefined) return { project, endpoint, key: wish.apiKey, renew: null };
  const known = session.context.chat_keys[project];
  const renew = (): Promise<string> => newKey(session, context, project);
  const key = known ?? (await renew());
  return { project, endpoint, key, renew: session.contextName === null ? null : renew };
}

/** The context's; else the only one; else the one that a first start makes. */
async function usualEndpoint(session: ServerSession): Promise<string> {
  const { context } = session;
  if (context.endpoint !== null && context.project === session.project()) return context.endpoint;
  const path = `${session.scopePath(false)}/endpoints?limit=500`;
  const { data } = await session.call<ListAnswer<EndpointAnswer>>({ method: 'GET', path });
  const active = data.filter((endpoint) => endpoint.active);
  const [first, ...others] = active;
  if (first === undefined) {
    endCommand(
      'no endpoint answers here yet. Make one with: ' +
        'xim endpoints create SLUG --model MODEL --tier TIER',
      exitCodes.refused,
    );
  }
  if (others.length === 0) return first.slug;
  const usual = active.find(({ slug }) => slug === 'default');
  if (usual !== undefined) return usual.slug;
  const slugs = active.map(({ slug }) => slug).join(', ');
  endCommand(
    `there are several endpoints. Choose one with --endpoint or xim endpoints use: ${slugs}`,
    exitCodes.usage,
  );
}

const ownKey = 'Give one in XIM_API_KEY; an owner makes it with: xim keys create NAME';

/** Makes a key for this machine and keeps it. What it had before ends by itself. */
async function newKey(
  session: ServerSession,
  { clock, env, terminal, machine }: CommandContext,
  project: string,
): Promise<string> {
  const { contextName } = session;
  if (contextName === null) {
    endCommand(`this file has no key for ${project}. ${ownKey}`, exitCodes.usage);
  }
  const name = `xim chat on ${machine}`.slice(0, 256);
  const path = `${session.scopePath(false)}/api-keys`;
  const expires_at = new Date(clock.now() + keyLifetimeMs).toISOString();
  const outcome = await session.ask<ShownApiKeyAnswer>({
    method: 'POST',
    path,
    creates: true,
    body: { name, scopes: ['inference'], expires_at },
  });
  if (outcome.kind === 'refused' && outcome.code === 'insufficient_permissions') {
    endCommand(`chatting takes an API key of ${project}. ${ownKey}`, exitCodes.refused);
  }
  if (outcome.kind !== 'ok') session.refused(outcome);
  const { key } = outcome.answer;
  contextStore(env).update(contextName, (now) => ({
    ...now,
    chat_keys: { ...now.chat_keys, [project]: key },
  }));
  terminal.note(`Made the API key "${name}" for this machine; it ends in 30 days.\n`);
  return key;
}
