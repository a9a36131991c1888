/**
 * What an engine is to the agent: the thing that runs a model. The embedded one (`embedded.ts`)
 * runs llama.cpp in the agent's own process, the url one (`url.ts`) attaches any
 * OpenAI-compatible server.
 *
 * An engine speaks OpenAI's shapes as parsed objects, with whatever it leaves out or gets wrong;
 * `wireFinal.ts` makes the exact bytes of an answer from them. An engine never sees the link.
 *
 * Invariants
 * E1 `run` resolves exactly once and never rejects; nothing is written to the sink after that.
 * E2 When the signal of `run` aborts, the engine's side is closed at once and `run` resolves with
 *    `cancelled` as soon as the slot is really free.
 * E3 After `sink.write` returned false the engine writes nothing until `sink.writable()` resolved.
 * E4 Usage is the engine's own count; an engine that gives none reports none, nobody guesses.
 * E5 An instance id names one loaded model of one engine start; it is never used again.
 */
import type { ModelState, StorageReport } from '../../protocol/messages/agentControl.ts';
import type { DesiredModel } from '../../protocol/messages/routerControl.ts';

export type EngineKind = 'embedded' | 'url';

/** A JSON object as `JSON.parse` gives it. */
export type JsonObject = Record<string, unknown>;

/** What one short answer took with nothing else to do, in ms. */
export interface EngineSpeed {
  firstByteMs: number;
  perTokenMs: number;
}

/** One loaded model that can take requests now; becomes one entry of GRANT. */
export interface EngineOffer {
  /** Unique over all starts of the engine (E5), at most 64 characters. */
  instance: string;
  modelId: string;
  /** Requests that it runs at once, from 1. */
  slots: number;
  /** Name of the engine as people know it, e.g. `llama.cpp`, `vllm`, `ollama`. */
  engine: string;
  engineVersion?: string;
  contextLength?: number;
  /** Tokens of keys and values that all slots share; absent: the engine does not say. */
  holdsTokens?: number;
  /** Absent: it was not measured (yet). */
  speed?: EngineSpeed;
  /** What was probed to work, e.g. `chat`, `completions`, `tools`, `logprobs`, `continue`. */
  abilities: readonly string[];
}

/** A model file that was checked and may be loaded. */
export interface ModelFile {
  path: string;
  sha256: string;
}

export interface LoadRequest {
  desired: DesiredModel;
  /** Always there when the engine's `needsFiles` is true, never otherwise. */
  file: ModelFile | undefined;
  /** Upper bound of the slots, from CONFIG; 0 = the engine decides. */
  maxSlots: number;
}

/** `fraction` in [0, 1]; called as often as the engine likes, cheap. */
export type LoadProgress = (fraction: number) => void;

export type LoadOutcome =
  /** `offers()` contains it from now on, until it is unloaded or the engine loses it. */
  | { kind: 'ready' }
  /** A plain sentence for the owner. `retry`: whether time alone may cure it. */
  | { kind: 'failed'; message: string; retry: boolean }
  | { kind: 'cancelled' };

export interface EngineRequest {
  requestId: string;
  /** The offer that serves it. */
  instance: string;
  /** The engine route, e.g. `/v1/chat/completions`. */
  path: string;
  /** The client's body as it came: the UTF-8 text of a JSON object. Nobody changes it. */
  readonly text: Buffer;
  /** The same parsed, when it is first asked for: a large one costs milliseconds. */
  readonly body: JsonObject;
  stream: boolean;
  /** Separates prefix caches of projects; opaque. */
  cacheSalt: string | undefined;
  /** The trace that it belongs to (W3C); for engines that take part in it. */
  traceparent?: string | undefined;
}

/** Where an engine's answer goes. */
export interface EngineSink {
  /**
   * Streaming: one chunk object. Otherwise: the whole answer, exactly once. The engine must not
   * change or keep the object. Returns false when the reader is behind (E3); the object was taken.
   */
  write(event: JsonObject): boolean;
  /** Resolves when the reader takes more, or the request is over. Never rejects. */
  writable(): Promise<void>;
}

/** Tokens as the engine counted them; `cached` is the part of `input` that it did not compute. */
export interface EngineUsage {
  input: number;
  cached: number;
  output: number;
}

/** An engine's own error; any member may be missing or of a strange type on the wire. */
export interface EngineError {
  message: string;
  /** As the engine says it, e.g. vLLM's class name or llama.cpp's `exceed_context_size_error`. */
  type?: string;
  code?: string | number;
  param?: string;
}

export type EngineEnd =
  | { kind: 'completed'; usage?: EngineUsage }
  /** The engine said no, with a 4xx, before or after the first chunk; another agent would too. */
  | { kind: 'refused'; status: number; error: EngineError; usage?: EngineUsage }
  /** The engine broke. Retried elsewhere when nothing was written yet. `detail` is for logs. */
  | {
      kind: 'failed';
      reason: 'engine_unreachable' | 'engine_failed';
      detail: string;
      usage?: EngineUsage;
    }
  | { kind: 'cancelled'; usage?: EngineUsage };

/** One loaded model's numbers for HEARTBEAT. What the engine does not say is absent. */
export interface EngineMetrics {
  instance: string;
  /** Requests of ours that run now. */
  running: number;
  /** In the engine's own queue, whoever sent them. */
  queued?: number;
  tokensPerSecond?: number;
  promptTokensPerSecond?: number;
  /** 0 to 1. */
  kvCacheUse?: number;
  /** Engine's own metric names, at most 32 of them. */
  metrics?: Record<string, number>;
}

export interface Engine {
  readonly kind: EngineKind;
  /** True when a model must be a checked file on this machine before `load`. */
  readonly needsFiles: boolean;
  /** Called after `offers()` changed, for whatever reason. Set once, before `start`. */
  onOffersChange: (() => void) | undefined;
  /**
   * Gets ready to load. An engine that is away is no error here: it is probed on, and `load` says
   * so. Resolves when a quick first attempt is over; what may take minutes goes on behind it, and
   * `load` waits for that. Aborting the signal only ends the waiting.
   */
  start(signal: AbortSignal): Promise<void>;
  /** Makes a model servable. Loading a model that is loaded answers `ready` at once. */
  load(
    request: LoadRequest,
    options: { progress: LoadProgress; signal: AbortSignal },
  ): Promise<LoadOutcome>;
  /** Takes the model back. Requests that run on it end first. Idempotent. */
  unload(modelId: string): Promise<void>;
  /** What can take requests now. Cheap: it is read for every OPEN. */
  offers(): readonly EngineOffer[];
  run(request: EngineRequest, sink: EngineSink, signal: AbortSignal): Promise<EngineEnd>;
  metrics(): readonly EngineMetrics[];
  /** Ends every request and every process of the engine. Idempotent; resolves when all is gone. */
  stop(): Promise<void>;
}

/** How far a model is on its way to the disk. */
export type FetchProgress = Pick<ModelState, 'receivedBytes' | 'totalBytes' | 'bytesPerSecond'>;

export type EnsureOutcome =
  | { kind: 'ready'; path: string; sha256: string }
  /** `tried`: one line per source, in order. `message`: a sentence with the way on. */
  | { kind: 'failed'; tried: readonly string[]; message: string; retry: boolean }
  | { kind: 'cancelled' };

/** The model cache as the agent uses it (`models/` implements it). */
export interface ModelEnsurer {
  /** Brings a model to the disk and checks it. Never rejects. */
  ensure(
    desired: DesiredModel,
    options: { progress: (progress: FetchProgress) => void; signal: AbortSignal },
  ): Promise<EnsureOutcome>;
  /**
   * Null = no limit. Files that are not in use go at once where there are too many; what came of it
   * is in `storage()`, and `onStorageChange` is called.
   */
  setStorageLimit(limit: StorageLimit): void;
  /** Files of these models are in use and must not be evicted. Replaces the last call. */
  setInUse(modelIds: readonly string[]): void;
  /** Ids that are on disk and complete, as far as it was told of them. */
  cached(): readonly string[];
  /** The cache's disk; undefined when unknown. */
  disk(): { freeBytes: number; totalBytes: number } | undefined;
  /** What the cache holds, as of the last look; undefined before the first. */
  storage(): StorageReport | undefined;
  /** Called after `storage()` has changed. Set once. */
  onStorageChange: (() => void) | undefined;
}

/** What the cache may hold, in bytes: the smaller of the two binds. */
export interface StorageLimit {
  /** From CONFIG. */
  configuredBytes: number | null;
  /** From whoever owns the machine. */
  ownBytes: number | null;
}
