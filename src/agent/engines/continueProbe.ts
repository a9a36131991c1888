/**
 * Whether an attached engine goes on from the middle of an answer (`continue`): found out, never
 * assumed from its name. It is given half a word as an open assistant's turn; what completes the
 * word has read it as open. An engine that closes the turn, leaves it out or repeats it does not.
 *
 * The parameters are those of vLLM and SGLang; llama-server continues any assistant's turn at the
 * end and does not mind them.
 */
import { abilityProbeTimeoutMs } from '../limits.ts';
import { arrayOf, objectOf, stringOf } from '../serving/jsonValue.ts';
import { askEngine, type ProbeTarget } from './askEngine.ts';

/** Halves of words that the smallest models complete. One of them has to be completed. */
const trials = [
  {
    asked: 'Repeat exactly: banana banana banana banana',
    turn: 'banana banana banana ban',
    rest: 'ana',
  },
  {
    asked: 'Count from one to ten in words.',
    turn: 'One, two, three, four, five, six, seven, eight, nine, t',
    rest: 'en',
  },
  {
    asked: 'Name the days of the week.',
    turn: 'Monday, Tuesday, Wednesday, Thursday, Fri',
    rest: 'day',
  },
] as const;

/** Asks at most once for each trial; undefined: one gave no answer, and none shows it. */
export async function probeContinue(
  target: ProbeTarget,
  asked: { engineModel: string; signal: AbortSignal },
): Promise<boolean | undefined> {
  const { engineModel, signal } = asked;
  let unanswered = 0;
  for (const trial of trials) {
    if (signal.aborted) return undefined;
    const answer = await askEngine(target, {
      path: '/v1/chat/completions',
      body: {
        model: engineModel,
        messages: [
          { role: 'user', content: trial.asked },
          { role: 'assistant', content: trial.turn },
        ],
        continue_final_message: true,
        add_generation_prompt: false,
        temperature: 0,
        max_tokens: 4,
      },
      signal,
      timeoutMs: abilityProbeTimeoutMs,
    });
    if (answer.kind === 'failed') unanswered += 1;
    if (answer.kind !== 'answered' || answer.status !== 200) continue;
    const choice = objectOf(arrayOf(answer.body?.['choices'])[0]);
    const content = stringOf(objectOf(choice?.['message'])?.['content']) ?? '';
    if (content.startsWith(trial.rest)) return true;
  }
  return unanswered === 0 ? false : undefined;
}
