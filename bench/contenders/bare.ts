/** The libraries of our path and nothing else (`bare/`), in processes that stand as ours do. */
import path from 'node:path';
import { nodeArguments } from '../../src/lib/process/nodeArguments.ts';
import { within, type Child, type Children } from '../machine/children.ts';
import type { Contender, Surroundings } from './contender.ts';

const startTimeoutMs = 30_000;

export async function startBare(
  children: Children,
  { directory, mockPort }: Surroundings,
): Promise<Contender> {
  const start = (name: string, args: readonly string[]): Child =>
    children.start({
      name,
      side: name === 'bareRouter' ? 'device' : 'others',
      file: process.execPath,
      args: [...nodeArguments, path.join(import.meta.dirname, '..', 'bare', `${name}.ts`), ...args],
      directory,
      ipc: true,
    });
  const router = start('bareRouter', []);
  const { port } = (await firstMessage(router)) as { port: number };
  const agent = start('bareAgent', [String(port), String(mockPort)]);
  await firstMessage(agent);
  const target = { port, path: '/v1/chat/completions' };
  return { name: 'bare', target, devicePids: [router.pid], agentPids: [agent.pid] };
}

function firstMessage(child: Child): Promise<unknown> {
  const seen = new Promise((resolve) => child.process.once('message', resolve));
  const what = 'the bare relay';
  return within(Promise.race([seen, child.failed]), { ms: startTimeoutMs, what });
}
