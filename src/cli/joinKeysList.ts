/** `xim join-keys list`: join keys of the project, or of the platform. */
import type { JoinKeyAnswer } from '../api/control/joinKeys.ts';
import type { ListAnswer } from '../api/control/lists.ts';
import { defineConfig } from '../lib/config.ts';
import { defineCommand } from './command.ts';
import { projectOptions } from './serverContext.ts';
import { textTable, until } from './textTable.ts';
import { print, withServer } from './connection/withServer.ts';

const options = defineConfig({
  platform: {
    type: 'switch',
    flag: 'platform',
    default: false,
    help: 'Keys of the platform, for shared agents.',
  },
  ...projectOptions,
});

export const joinKeysList = defineCommand({
  words: ['join-keys', 'list'],
  summary: 'List join keys and what is left of them',
  options,
  run: (context, { options: given }) =>
    withServer({ name: 'join-keys list', context, options: given }, async (session) => {
      const path = `${session.scopePath(given.platform)}/join-keys`;
      const keys = await session.call<ListAnswer<JoinKeyAnswer>>({ method: 'GET', path });
      print({ context, options: given }, keys, ({ data }) =>
        data.length === 0
          ? 'No join keys. Make one with: xim join-keys create\n'
          : keysTable(data, context.clock.now()),
      );
    }),
});

function keysTable(keys: readonly JoinKeyAnswer[], nowMs: number): string {
  return textTable(
    ['ID', 'NAME', 'STATE', 'USES', 'ENDS', 'REGION', 'TIERS'],
    keys.map((key) => [
      key.id,
      key.name,
      key.state,
      `${key.uses}/${key.max_uses}`,
      until(key.expires_at, nowMs),
      key.region,
      key.supported_tiers?.join(',') ?? 'by accelerator',
    ]),
  );
}
