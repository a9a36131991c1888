/**
 * A TCP proxy between agents and their server that loses connections and holds them up when it is
 * told to, and goes on taking new ones.
 */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

interface Pair {
  client: Socket;
  server: Socket;
}

export class UnreliableProxy {
  private readonly server = createServer((socket) => this.accept(socket));
  private readonly pairs = new Set<Pair>();
  private readonly target: () => number;

  /** `target`: the server's port, asked for at each connection. */
  constructor(target: () => number) {
    this.target = target;
  }

  async listen(): Promise<number> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return (this.server.address() as AddressInfo).port;
  }

  /** Connections that are open. */
  get connections(): number {
    return this.pairs.size;
  }

  /** Loses the connection at this place, as when a cable is pulled; what was under way is gone. */
  cut(place: number): void {
    const pair = [...this.pairs][place];
    if (pair === undefined) return;
    pair.client.resetAndDestroy();
    pair.server.resetAndDestroy();
  }

  /** Passes nothing on of this connection until the returned function is called. */
  hold(place: number): () => void {
    const pair = [...this.pairs][place];
    pair?.client.pause();
    pair?.server.pause();
    return () => {
      pair?.client.resume();
      pair?.server.resume();
    };
  }

  close(): void {
    this.server.close();
    for (const { client, server } of this.pairs) {
      client.destroy();
      server.destroy();
    }
  }

  private accept(client: Socket): void {
    const server = connect(this.target(), '127.0.0.1');
    const pair = { client, server };
    this.pairs.add(pair);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.setNoDelay(true);
      from.on('data', (piece) => {
        if (!to.write(piece)) from.pause();
      });
      to.on('drain', () => from.resume());
      from.on('close', () => {
        this.pairs.delete(pair);
        to.destroy();
      });
      // What a cut leaves; `close` follows.
      from.on('error', () => {});
    }
  }
}
