/** The mock engine and the load generator, as the bench drives them. */
import path from 'node:path';
import { defaultModel } from '../../src/agent/models/defaultModel.ts';
import { within, type Child, type Children } from '../machine/children.ts';
import type {
  GeneratorCommand,
  GeneratorEvent,
  Load,
  LoadResult,
  MockCommand,
  MockEvent,
} from './messages.ts';

const answerTimeoutMs = 30_000;

export interface MockEngine {
  readonly pid: number;
  readonly port: number;
  /** For streams that begin from now on. */
  set(mode: Omit<MockCommand, 'type'>): Promise<void>;
}

export interface Generator {
  readonly pid: number;
  /** Resolves when every connection has had the first byte of its first answer. */
  start(load: Load): Promise<void>;
  /** From here on what happens is counted. */
  open(): void;
  /** Until here. Resolves when every answer that ran has ended. */
  close(): Promise<LoadResult>;
}

export async function startMock(children: Children, directory: string): Promise<MockEngine> {
  // The catalogue's model: an attached engine serves it under the same name.
  const child = startHelper(children, { name: 'mockEngine', args: [defaultModel.name], directory });
  const { port } = await eventOf<MockEvent, 'listening'>(child, 'listening');
  return {
    pid: child.pid,
    port,
    async set(mode) {
      const set = eventOf<MockEvent, 'mode_set'>(child, 'mode_set');
      child.process.send({ type: 'mode', ...mode } satisfies MockCommand);
      await set;
    },
  };
}

export async function startGenerator(children: Children, directory: string): Promise<Generator> {
  const child = startHelper(children, { name: 'loadGenerator', args: [], directory });
  await eventOf<GeneratorEvent, 'up'>(child, 'up');
  const send = (command: GeneratorCommand): void => void child.process.send(command);
  return {
    pid: child.pid,
    async start(load) {
      const settled = eventOf<GeneratorEvent, 'settled'>(child, 'settled');
      send({ type: 'start', load });
      await settled;
    },
    open: () => send({ type: 'open' }),
    async close() {
      const ended = eventOf<GeneratorEvent, 'result'>(child, 'result');
      send({ type: 'close' });
      return (await ended).result;
    },
  };
}

function startHelper(
  children: Children,
  options: { name: string; args: readonly string[]; directory: string },
): Child {
  const { name, args, directory } = options;
  const file = path.join(import.meta.dirname, '..', `${name}.ts`);
  return children.start({
    name,
    side: 'others',
    file: process.execPath,
    args: [file, ...args],
    directory,
    ipc: true,
  });
}

/** The next event of a type. */
function eventOf<Event extends { type: string }, Type extends Event['type']>(
  child: Child,
  type: Type,
): Promise<Extract<Event, { type: Type }>> {
  const seen = new Promise<Extract<Event, { type: Type }>>((resolve) => {
    const listen = (message: unknown): void => {
      if ((message as Event).type !== type) return;
      child.process.off('message', listen);
      resolve(message as Extract<Event, { type: Type }>);
    };
    child.process.on('message', listen);
  });
  const what = `'${type}' of a helper process`;
  return within(Promise.race([seen, child.failed]), { ms: answerTimeoutMs, what });
}
