/** A client's body as the agent got it, and what an engine is told of the request. */
import { parseAbridged } from '../../lib/json/abridgedJson.ts';
import { maxBodyNesting, nestsDeeperThan } from '../../lib/json/jsonNesting.ts';
import type { OpenMessage } from '../../protocol/messages/open.ts';
import type { EngineRequest, JsonObject } from '../engines/engine.ts';
import { objectOf, parseObject } from './jsonValue.ts';

/** Whether it is a JSON object of a depth that may be parsed and written again. */
export function isRequestBody(text: Buffer): boolean {
  if (nestsDeeperThan(text, maxBodyNesting)) return false;
  const read = parseAbridged(text);
  return read.kind === 'json' && objectOf(read.value) !== undefined;
}

export class ServedRequest implements EngineRequest {
  readonly requestId: string;
  readonly instance: string;
  readonly path: string;
  readonly text: Buffer;
  readonly stream: boolean;
  readonly cacheSalt: string | undefined;
  readonly traceparent: string | undefined;
  private parsed: JsonObject | undefined;

  /** `text` passed `isRequestBody`. */
  constructor(open: OpenMessage, text: Buffer) {
    this.requestId = open.requestId;
    this.instance = open.instance;
    this.path = open.path;
    this.text = text;
    this.stream = open.stream;
    this.cacheSalt = open.cacheSalt;
    this.traceparent = open.traceparent;
  }

  get body(): JsonObject {
    this.parsed ??= parseObject(this.text.toString('utf8')) ?? {};
    return this.parsed;
  }
}
