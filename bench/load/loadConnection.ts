/** One client connection: sends a request, reads its answer, and is used again. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { AnswerReader } from './answerReader.ts';
import { nowUs } from './chunkStamp.ts';
import type { LoadWindow } from './loadWindow.ts';

/** Reads go here and are looked at before the next one: no buffer is made for them. */
const readBuffer = Buffer.allocUnsafe(64 * 1024);

export interface ConnectionEvents {
  onFirstByte(): void;
  /** The answer is over, well or not. */
  onEnd(): void;
}

export class LoadConnection {
  private readonly socket: Socket;
  private readonly reader: AnswerReader;
  private readonly window: LoadWindow;
  private readonly events: ConnectionEvents;
  private sentUs = 0;

  constructor(options: { port: number; window: LoadWindow; events: ConnectionEvents }) {
    this.window = options.window;
    this.events = options.events;
    this.reader = new AnswerReader({
      onFirstByte: () => {
        this.window.firstByte(this.sentUs);
        this.events.onFirstByte();
      },
      onChunk: (writtenUs) => this.window.chunk(writtenUs),
      onEnd: (problem, message) => this.onAnswer(problem, message),
    });
    this.socket = connect({
      host: '127.0.0.1',
      port: options.port,
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (length) => {
          this.reader.read(readBuffer.subarray(0, length));
          return true;
        },
      },
    });
    this.socket.on('error', (error) => this.onLost(error.message));
    this.socket.on('close', () => this.onLost('the connection was closed'));
  }

  get disorder(): number {
    return this.reader.disorder;
  }

  /** `chunks`: how many the answer must have; 0 for one in one piece. */
  send(request: Buffer, chunks: number): void {
    this.reader.expect(chunks);
    this.sentUs = nowUs();
    this.socket.write(request);
  }

  close(): void {
    this.socket.destroy();
  }

  private onAnswer(problem: string | null, message?: string): void {
    if (problem === null) this.window.answer(this.sentUs);
    else this.window.failure(problem, message);
    this.events.onEnd();
  }

  private onLost(problem: string): void {
    if (!this.reader.busy) return;
    this.reader.abandon();
    this.window.failure(problem);
    this.events.onEnd();
  }
}
