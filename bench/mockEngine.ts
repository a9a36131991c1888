/**
 * A mock OpenAI engine as a process of its own, cheap enough that it is not what a bench measures:
 * raw sockets, a head and a length read and nothing else, one write per chunk, one wheel for all
 * streams.
 *
 * A streamed answer begins at once with its role chunk; then a chunk of `chunkStamp` each tick, at
 * a phase of its own (`random`) or all at the same moment (`lockstep`). Other answers come at once.
 * Started by `relay.ts` with an IPC channel; ends when that closes.
 */
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { chunkStamp, nowUs } from './load/chunkStamp.ts';
import type { MockCommand, MockEvent } from './load/messages.ts';
import { TickWheel } from './load/tickWheel.ts';

const model = process.argv[2] ?? 'mock';
const headEnd = '\r\n\r\n';
/** What is kept of a body: the members that are read stand last. */
const tailBytes = 256;

interface Stream {
  socket: Socket;
  sent: number;
  chunks: number;
  wheel: TickWheel<Stream>;
}

let mode: MockCommand = { type: 'mode', tickMs: 40, phase: 'random' };
let wheel = newWheel();

function newWheel(): TickWheel<Stream> {
  return new TickWheel({ tickMs: mode.tickMs, fire: (stream) => tick(stream) });
}

/** One event as one chunk of HTTP's chunked coding. */
function framed(event: string): string {
  return `${event.length.toString(16)}\r\n${event}\r\n`;
}

const chunkHead = `{"id":"chatcmpl-mock","object":"chat.completion.chunk","created":1700000000,`;
const chunkOf = (delta: string, reason: string): string =>
  `data: ${chunkHead}"model":"${model}","choices":[{"index":0,"delta":${delta},` +
  `"logprobs":null,"finish_reason":${reason}}]}\n\n`;

const [beforeStamp = '', afterStamp = ''] = framed(
  chunkOf(`{"content":"${chunkStamp(0, 0)}"}`, 'null'),
).split(chunkStamp(0, 0));

const streamHead =
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n' +
  framed(chunkOf('{"role":"assistant","content":""}', 'null'));

function streamEnd(chunks: number): string {
  const total = chunks + 12;
  const usage = `{"prompt_tokens":12,"completion_tokens":${chunks},"total_tokens":${total}}`;
  const last =
    `data: ${chunkHead}"model":"${model}","choices":[],"usage":${usage}}\n\n` + 'data: [DONE]\n\n';
  return `${framed(chunkOf('{}', '"stop"') + last)}0\r\n\r\n`;
}

const wholeAnswer = json(
  `{"id":"chatcmpl-mock","object":"chat.completion","created":1700000000,"model":"${model}",` +
    '"choices":[{"index":0,"message":{"role":"assistant","content":"Hello there, how are you?"},' +
    '"logprobs":null,"finish_reason":"stop"}],' +
    '"usage":{"prompt_tokens":12,"completion_tokens":7,"total_tokens":19}}',
);
const models = json(
  `{"object":"list","data":[{"id":"${model}","object":"model","created":1,"owned_by":"mock"}]}`,
);
const health = json('{"status":"ok"}');
const missing = json('{"error":{"message":"not here"}}', '404 Not Found');
const refused = json('{"error":{"message":"not this"}}', '400 Bad Request');

function json(body: string, status = '200 OK'): string {
  return (
    `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\n` +
    `content-length: ${body.length}\r\n\r\n${body}`
  );
}

function tick(stream: Stream): void {
  const { socket } = stream;
  if (stream.sent === stream.chunks) {
    stream.wheel.remove(stream);
    socket.write(streamEnd(stream.chunks), 'latin1');
    return;
  }
  socket.write(beforeStamp + chunkStamp(stream.sent, nowUs()) + afterStamp, 'latin1');
  stream.sent += 1;
}

/** One connection: requests one after another. */
class Connection {
  private readonly socket: Socket;
  private head = '';
  private bodyLeft = 0;
  private tail = '';
  private stream: Stream | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (bytes) => this.onBytes(bytes));
    // Whoever goes away stops its stream, as an engine would.
    socket.on('close', () => this.stream?.wheel.remove(this.stream));
    socket.on('error', () => socket.destroy());
  }

  private onBytes(bytes: Buffer): void {
    if (this.bodyLeft > 0) return this.onBody(bytes);
    const text = this.head + bytes.toString('latin1');
    const end = text.indexOf(headEnd);
    if (end === -1) {
      this.head = text;
      return;
    }
    this.head = text.slice(0, end);
    this.bodyLeft = Number(/content-length: *(\d+)/i.exec(this.head)?.[1] ?? 0);
    const rest = text.slice(end + headEnd.length);
    if (this.bodyLeft === 0) this.answer();
    else if (rest !== '') this.onBody(Buffer.from(rest, 'latin1'));
  }

  private onBody(bytes: Buffer): void {
    this.bodyLeft -= bytes.length;
    const from = Math.max(0, bytes.length - tailBytes);
    this.tail = (this.tail + bytes.toString('latin1', from)).slice(-tailBytes);
    if (this.bodyLeft <= 0) this.answer();
  }

  private answer(): void {
    const { head, tail } = this;
    this.head = '';
    this.tail = '';
    this.bodyLeft = 0;
    if (head.startsWith('GET /v1/models')) return this.write(models);
    if (head.startsWith('GET /health')) return this.write(health);
    if (!head.startsWith('POST /v1/chat/completions')) return this.write(missing);
    if (head.includes('xim-agent-probe')) return this.write(refused);
    if (!tail.includes('"stream":true')) return this.write(wholeAnswer);
    this.write(streamHead);
    const chunks = Number(/"max_tokens":(\d+)/.exec(tail)?.[1] ?? 16);
    this.stream = { socket: this.socket, sent: 0, chunks, wheel };
    wheel.add(this.stream, mode.phase === 'random' ? Math.random() : 0);
  }

  private write(text: string): void {
    this.socket.write(text, 'latin1');
  }
}

const tell = (event: MockEvent): void => void process.send?.(event);

const server = createServer((socket) => void new Connection(socket));
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  tell({ type: 'listening', port: (server.address() as AddressInfo).port });
});

process.on('message', (command: MockCommand) => {
  mode = command;
  wheel = newWheel();
  tell({ type: 'mode_set' });
});
process.on('disconnect', () => process.exit(0));
