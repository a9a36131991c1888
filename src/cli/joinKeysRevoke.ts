/** `xim join-keys revoke ID`: nobody joins with it any more; agents that did so stay. */
import { defineConfig } from '../lib/config.ts';
import { defineCommand } from './command.ts';
import { projectOptions } from './serverContext.ts';
import { withServer } from './connection/withServer.ts';

const options = defineConfig({
  platform: {
    type: 'switch',
    flag: 'platform',
    default: false,
    help: 'A key of the platform.',
  },
  ...projectOptions,
});

export const joinKeysRevoke = defineCommand({
  words: ['join-keys', 'revoke'],
  operands: ['ID'],
  summary: 'Revoke a join key; agents that joined with it stay',
  options,
  run: (context, { options: given, operands: [id = ''] }) =>
    withServer({ name: 'join-keys revoke', context, options: given }, async (session) => {
      const path = `${session.scopePath(given.platform)}/join-keys/${encodeURIComponent(id)}`;
      await session.call<unknown>({ method: 'DELETE', path });
      if (given.output === 'json') context.terminal.out(`${JSON.stringify({ id })}\n`);
      else context.terminal.out(`${id} is revoked. Agents that joined with it stay.\n`);
    }),
});
