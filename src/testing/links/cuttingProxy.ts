/**
 * A TCP proxy between an agent and its server that counts what goes through in either direction and
 * calls somebody at the n-th piece, before it is passed on or after.
 */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** Paths that only agents ask for; the first bytes of a connection tell who it is. */
const agentPath = /^(GET|POST) \/v1\/(enroll|agents)\b/;

export interface Cut {
  /** Which piece, from 1. */
  at: number;
  /** Whether the piece still reaches its receiver. */
  passedOn: boolean;
  act: () => void;
}

export class CuttingProxy {
  /** Pieces of agents since the last `arm`. */
  pieces = 0;
  private readonly server = createServer((socket) => this.accept(socket));
  private readonly sockets = new Set<Socket>();
  private readonly target: number;
  private cut: Cut | undefined;

  /** `target`: the port of the server, which may come and go. */
  constructor(target: number) {
    this.target = target;
  }

  async listen(): Promise<number> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return (this.server.address() as AddressInfo).port;
  }

  close(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  arm(cut: Cut | undefined): void {
    this.pieces = 0;
    this.cut = cut;
  }

  private accept(client: Socket): void {
    const server = connect(this.target, '127.0.0.1');
    let isAgent = false;
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.sockets.add(from);
      from.on('data', (piece) => {
        if (from === client && agentPath.test(piece.toString('latin1', 0, 64))) isAgent = true;
        if (!isAgent || this.pass()) to.write(piece);
      });
      from.on('close', () => {
        this.sockets.delete(from);
        to.destroy();
      });
      // What a killed process leaves; `close` follows.
      from.on('error', () => {});
    }
  }

  /** Whether this piece is passed on. */
  private pass(): boolean {
    this.pieces += 1;
    const { cut } = this;
    if (cut === undefined || this.pieces !== cut.at) return true;
    this.cut = undefined;
    // After the piece has left, where it is to arrive.
    if (cut.passedOn) setImmediate(cut.act);
    else cut.act();
    return cut.passedOn;
  }
}
