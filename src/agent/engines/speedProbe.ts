/**
 * How fast an engine is with nothing else to do: one short answer, timed when its model is ready.
 * The router foresees its first requests by that, until it has measured some of its own.
 */
import type { Clock } from '../../lib/clock.ts';
import { tokenKind } from '../serving/wireUsage.ts';
import type { EngineEnd, EngineRequest, EngineSink, EngineSpeed } from './engine.ts';

/** Longer says no more, and somebody may wait for the model. */
const longestMs = 5_000;
const answerTokens = 12;
/** Fewer tell nothing of the time between two. */
const leastTokens = 3;
/**
 * All tokens in so small a part of the time to the first one came at once: something before the
 * engine has gathered them, and they tell nothing, either. (A token of an answer takes as long as
 * some tens of tokens of a prompt.)
 */
const gatheredPart = 1 / 20;
/** A prompt of about sixty tokens: a shorter one would be the route's own time and no prompt's. */
const prompt =
  'Count from one to twelve in words, one number after the other, and write nothing else. ' +
  'Begin with the word one, go on with two, three and four, leave none of them out, ' +
  'do not number the lines, do not explain what you do, and stop when you have come to twelve.';

type Run = (request: EngineRequest, sink: EngineSink, signal: AbortSignal) => Promise<EngineEnd>;

/** Undefined: it gave too little in the time. Never rejects. */
export async function probeSpeed(
  run: Run,
  of: { instance: string; clock: Clock; signal: AbortSignal },
): Promise<EngineSpeed | undefined> {
  const { instance, clock } = of;
  const late = new AbortController();
  const timer = clock.setTimer(longestMs, () => late.abort());
  const messages = [{ role: 'user', content: prompt }];
  const body = { messages, max_tokens: answerTokens, temperature: 0, stream: true };
  const request: EngineRequest = {
    requestId: `probe_${instance}`.slice(0, 64),
    instance,
    path: '/v1/chat/completions',
    text: Buffer.from(JSON.stringify(body)),
    body,
    stream: true,
    cacheSalt: undefined,
  };
  const times: number[] = [];
  const sink: EngineSink = {
    write(event) {
      if (tokenKind(event) === 'seen') times.push(clock.monotonic());
      // Not every engine keeps to what it may write.
      if (times.length >= answerTokens) late.abort();
      return true;
    },
    writable: () => Promise.resolve(),
  };
  const startedAtMs = clock.monotonic();
  try {
    await run(request, sink, AbortSignal.any([of.signal, late.signal]));
  } catch {
    // E1: it never rejects; a probe is no reason to lose the model over it.
  } finally {
    timer.cancel();
  }
  const [first, last] = [times[0], times.at(-1)];
  if (first === undefined || last === undefined || times.length < leastTokens) return undefined;
  const firstByteMs = first - startedAtMs;
  if (last - first < gatheredPart * firstByteMs) return undefined;
  return { firstByteMs, perTokenMs: (last - first) / (times.length - 1) };
}
