/**
 * The load generator as a process of its own: raw sockets, keep-alive, a closed loop on each. It
 * reads of an answer what `answerReader.ts` must and counts between `open` and `close`.
 *
 * A load is over, and its result told, when the window is closed and every answer has ended: what
 * is counted as delivered was read to its end. Started by `relay.ts` with an IPC channel; ends when
 * that closes.
 */
import { LoadConnection } from './load/loadConnection.ts';
import { LoadWindow } from './load/loadWindow.ts';
import type { GeneratorCommand, GeneratorEvent, Load, Target } from './load/messages.ts';

const tell = (event: GeneratorEvent): void => void process.send?.(event);

class RunningLoad {
  private readonly load: Load;
  private readonly window = new LoadWindow();
  /** By the number of chunks that they ask for; 0 = an answer in one piece. */
  private readonly requests = new Map<number, Buffer>();
  private readonly connections: LoadConnection[] = [];
  private silent: number;
  private running: number;

  constructor(load: Load) {
    this.load = load;
    const count = load.kind === 'streams' ? load.streams : load.connections;
    this.silent = count;
    this.running = count;
    for (let n = 0; n < count; n += 1) this.connections.push(this.connect());
    for (const connection of this.connections) this.send(connection, this.firstChunks());
  }

  open(): void {
    this.window.open();
  }

  close(): void {
    this.window.close();
    this.endWhenOver();
  }

  private connect(): LoadConnection {
    let heard = false;
    const connection: LoadConnection = new LoadConnection({
      port: this.load.target.port,
      window: this.window,
      events: {
        onFirstByte: () => {
          if (heard) return;
          heard = true;
          this.silent -= 1;
          if (this.silent === 0) tell({ type: 'settled' });
        },
        onEnd: () => this.onEnd(connection),
      },
    });
    return connection;
  }

  private send(connection: LoadConnection, chunks: number): void {
    const request = this.requests.get(chunks) ?? requestOf(this.load, chunks);
    this.requests.set(chunks, request);
    connection.send(request, chunks);
  }

  private chunks(): number {
    return this.load.kind === 'streams' ? this.load.chunks : 0;
  }

  /** Streams that renew are of different length at first, so that they do not end in step. */
  private firstChunks(): number {
    const chunks = this.chunks();
    const renews = this.load.kind === 'streams' && this.load.renew;
    return renews ? 1 + Math.floor(Math.random() * chunks) : chunks;
  }

  private onEnd(connection: LoadConnection): void {
    const goesOn = this.load.kind === 'requests' || this.load.renew;
    if (goesOn && !this.window.isClosed) return this.send(connection, this.chunks());
    this.running -= 1;
    this.endWhenOver();
  }

  private endWhenOver(): void {
    if (this.running > 0 || !this.window.isClosed) return;
    const disorder = this.connections.reduce((sum, one) => sum + one.disorder, 0);
    for (const connection of this.connections) connection.close();
    tell({ type: 'result', result: this.window.result(disorder) });
  }
}

function requestOf(load: Load, chunks: number): Buffer {
  // The prompt first: the mock reads the members that count from the end of the body.
  const prompt = load.kind === 'requests' ? 'x'.repeat(load.promptBytes) : 'Tell me a story.';
  const messages = [{ role: 'user', content: prompt }];
  const body = JSON.stringify(
    load.kind === 'streams'
      ? { model: 'own', messages, stream: true, max_tokens: chunks }
      : { model: 'own', messages, max_tokens: 16 },
  );
  return Buffer.from(`${headOf(load.target, Buffer.byteLength(body))}\r\n\r\n${body}`);
}

function headOf({ port, path, apiKey }: Target, bodyBytes: number): string {
  return [
    `POST ${path} HTTP/1.1`,
    `host: 127.0.0.1:${port}`,
    'content-type: application/json',
    `content-length: ${bodyBytes}`,
    ...(apiKey === undefined ? [] : [`authorization: Bearer ${apiKey}`]),
  ].join('\r\n');
}

let running: RunningLoad | undefined;
process.on('message', (command: GeneratorCommand) => {
  if (command.type === 'start') running = new RunningLoad(command.load);
  else if (command.type === 'open') running?.open();
  else running?.close();
});
process.on('disconnect', () => process.exit(0));
tell({ type: 'up' });
