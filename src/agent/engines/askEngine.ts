/** One small call to an attached engine, for what is asked of it beside requests. */
import type { Dispatcher } from 'undici';
import type { Clock } from '../../lib/clock.ts';
import { GatheredBytes } from '../../lib/memory/gatheredBytes.ts';
import { codeOf } from '../joining/connectionError.ts';
import { maxEngineListBytes, probeTimeoutMs } from '../limits.ts';
import { parseObject } from '../serving/jsonValue.ts';
import type { JsonObject } from './engine.ts';

/** How calls reach the engine. */
export interface ProbeTarget {
  dispatcher: Dispatcher;
  clock: Clock;
  /** Of the address, before `/v1/…`. */
  prefix: string;
  headers: Record<string, string>;
}

export interface EngineCall {
  path: string;
  /** GET without one, POST with one. */
  body?: JsonObject;
  signal: AbortSignal;
  timeoutMs?: number;
  maxAnswerBytes?: number;
}

export type EngineAnswer =
  | { kind: 'answered'; status: number; text: string; body: JsonObject | undefined }
  /** The answer has more than `maxAnswerBytes`. */
  | { kind: 'too_large'; detail: string }
  | { kind: 'failed'; detail: string };

/** By this an engine's log tells probes from work. */
export const probeUserAgent = 'xim-agent-probe';

/** Never rejects. */
export async function askEngine(target: ProbeTarget, call: EngineCall): Promise<EngineAnswer> {
  const { timeoutMs = probeTimeoutMs, maxAnswerBytes = maxEngineListBytes } = call;
  const deadline = new AbortController();
  const timer = target.clock.setTimer(timeoutMs, () => deadline.abort());
  try {
    const response = await target.dispatcher.request({
      path: target.prefix + call.path,
      method: call.body === undefined ? 'GET' : 'POST',
      headers: { ...target.headers, 'user-agent': probeUserAgent },
      body: call.body === undefined ? null : JSON.stringify(call.body),
      signal: AbortSignal.any([call.signal, deadline.signal]),
    });
    const answer = new GatheredBytes();
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      answer.push(chunk);
      if (answer.length > maxAnswerBytes) {
        return { kind: 'too_large', detail: 'its answer is too large' };
      }
    }
    const text = answer.take().toString('utf8');
    return { kind: 'answered', status: response.statusCode, text, body: parseObject(text) };
  } catch (error) {
    const detail = deadline.signal.aborted ? `no answer in ${timeoutMs / 1000} s` : codeOf(error);
    return { kind: 'failed', detail };
  } finally {
    timer.cancel();
  }
}
