/** A client's body as an engine gets it: its text, and the same parsed. */
import type { EngineRequest, JsonObject } from '../../agent/engines/engine.ts';

export function engineBody(body: JsonObject): Pick<EngineRequest, 'text' | 'body'> {
  return { text: Buffer.from(JSON.stringify(body)), body };
}
