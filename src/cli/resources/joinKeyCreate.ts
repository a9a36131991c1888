/** `xim join-keys create`: makes a join key and prints the line to paste on the machine. */
import type { CreateJoinKeyRequest, CreatedJoinKeyAnswer } from '../../api/control/joinKeys.ts';
import { defineConfig } from '../../lib/config.ts';
import { defineCommand } from '../command.ts';
import { projectOptions } from '../serverContext.ts';
import { until } from '../textTable.ts';
import { print, withServer } from '../connection/withServer.ts';

const options = defineConfig({
  name: {
    type: 'text',
    flag: 'name',
    default: undefined,
    placeholder: 'NAME',
    help: 'Name of the agent; the machine’s hostname otherwise.',
    group: 'The agent',
  },
  region: {
    type: 'text',
    flag: 'region',
    default: undefined,
    placeholder: 'REGION',
    help: 'Where the machine stands: 1 to 24 characters without space, e.g. us-east-1.',
    group: 'The agent',
  },
  tiers: {
    type: 'list',
    flag: 'tiers',
    default: undefined,
    placeholder: 'TIER,…',
    help: 'Tiers that it serves; by default what its accelerator suggests.',
    group: 'The agent',
  },
  storageLimit: {
    type: 'size',
    flag: 'storage-limit',
    default: undefined,
    min: 1,
    placeholder: 'SIZE',
    help: 'How much disk its model cache may use, e.g. 200GB; by default the disk less 5 %.',
    group: 'The agent',
  },
  ttl: {
    type: 'duration',
    flag: 'ttl',
    default: 900_000,
    min: 1000,
    max: 3_600_000,
    placeholder: 'TIME',
    help: 'How long the key can be used, at most 1h.',
    group: 'The key',
  },
  maxUses: {
    type: 'integer',
    flag: 'max-uses',
    default: 1,
    min: 1,
    max: 1_000,
    placeholder: 'N',
    help: 'How many machines may join with it.',
    group: 'The key',
  },
  platform: {
    type: 'switch',
    flag: 'platform',
    default: false,
    help: 'A key of the platform: what joins with it is a shared agent.',
    group: 'The key',
  },
  ...projectOptions,
});

export const joinKeyCreate = defineCommand({
  words: ['join-keys', 'create'],
  summary: 'Make a join key and print the line to paste on a machine',
  details: 'The line goes to standard output, everything else to standard error.',
  options,
  run(context, input) {
    const { options: given } = input;
    const request: CreateJoinKeyRequest = {
      ...(given.name === undefined ? {} : { name: given.name }),
      ...(given.region === undefined ? {} : { region: given.region }),
      ...(given.tiers === undefined ? {} : { supported_tiers: [...given.tiers] }),
      ...(given.storageLimit === undefined
        ? {}
        : { storage_limit_enabled: true, storage_limit_bytes: given.storageLimit }),
      max_uses: given.maxUses,
      ttl_seconds: Math.round(given.ttl / 1000),
    };
    return withServer({ name: 'join-keys create', context, options: given }, async (session) => {
      const path = `${session.scopePath(given.platform)}/join-keys`;
      const key = await session.call<CreatedJoinKeyAnswer>({
        method: 'POST',
        path,
        body: request,
        creates: true,
      });
      const { terminal } = context;
      for (const warning of key.warnings) terminal.note(`Warning: ${warning}\n`);
      if (namesLoopback(key.join_command)) {
        terminal.note(
          'Warning: the server is reached from its own machine only. For others start it with ' +
            '--host 0.0.0.0, or name its address with --public-url.\n',
        );
      }
      if (given.output === 'table') {
        const uses = key.max_uses === 1 ? 'for one machine' : `for ${key.max_uses} machines`;
        const ends = until(key.expires_at, context.clock.now());
        terminal.note(
          `Join key ${key.id}, ${uses}, ends ${ends}. It is shown only now.\n` +
            'Paste this line on the machine (Linux with Node 20.18.1 or newer):\n\n',
        );
      }
      print({ context, options: given }, key, () => `${key.join_command}\n`);
      if (given.output === 'table') {
        terminal.note(`\nWithout curl on the machine:\n\n${key.join_command_node}\n`);
      }
    });
  },
});

/** Whether the line leads to the machine that it is pasted on. */
function namesLoopback(joinCommand: string): boolean {
  return /https?:\/\/(localhost|127\.[\d.]+|\[::1\])[:/]/.test(joinCommand);
}
