/**
 * What a bench and its two helper processes, the mock engine and the load generator, tell another.
 */

/** Where requests go. */
export interface Target {
  port: number;
  path: string;
  /** Sent as a bearer token. */
  apiKey?: string;
}

/** Streams of `chunks` chunks each, all at once. */
export interface StreamLoad {
  kind: 'streams';
  target: Target;
  streams: number;
  chunks: number;
  /** An ended stream is followed by another on its connection, while the window is open. */
  renew: boolean;
}

/** Answers in one piece, one request after another on each connection. */
export interface RequestLoad {
  kind: 'requests';
  target: Target;
  connections: number;
  /** Of the prompt. */
  promptBytes: number;
}

export type Load = StreamLoad | RequestLoad;

/** To the generator. Only what happens between `open` and `close` is counted. */
export type GeneratorCommand = { type: 'start'; load: Load } | { type: 'open' } | { type: 'close' };

/** In ms. */
export interface Spread {
  count: number;
  p50: number;
  p99: number;
  max: number;
}

export interface LoadResult {
  windowMs: number;
  /** Chunks that arrived in the window; 0 for requests. */
  chunks: number;
  /** Answers that ended in the window. */
  answers: number;
  /** From the engine's write to the arrival, per chunk. */
  delay: Spread;
  /** From sending a request to the first byte of its body. */
  firstByte: Spread;
  /** From sending a request to its last byte. */
  latency: Spread;
  /** Chunks that were lost, doubled or moved, over the whole load. */
  disorder: number;
  /** Answers that broke or were refused, over the whole load; by kind, the first one first. */
  failures: number;
  problems: Problem[];
}

/** Failures of one kind: a status with the code of the refusal, or how an answer broke. */
export interface Problem {
  problem: string;
  /** What the first of them says of itself. */
  message: string;
  count: number;
}

/** From the generator. `settled`: every stream has had its first byte. */
export type GeneratorEvent =
  | { type: 'up' }
  | { type: 'settled' }
  | { type: 'result'; result: LoadResult };

/** To the mock. Streams that run keep the mode in which they began. */
export interface MockCommand {
  type: 'mode';
  tickMs: number;
  phase: 'random' | 'lockstep';
}

/** From the mock. */
export type MockEvent = { type: 'listening'; port: number } | { type: 'mode_set' };
