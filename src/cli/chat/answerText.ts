/** What is said of answers, beside the answers themselves. */
import { refusalText } from '../connection/nextStep.ts';
import { exitCodes } from '../exitCodes.ts';
import type { Asked } from './askModel.ts';

/** Why there is no whole answer, and what to do. */
export function answerFailure(asked: Exclude<Asked, { kind: 'answered' }>): {
  message: string;
  exitCode: number;
} {
  switch (asked.kind) {
    case 'cancelled':
      return { message: 'cancelled.', exitCode: exitCodes.failed };
    case 'unreachable':
      return { message: asked.message, exitCode: exitCodes.unreachable };
    case 'broken':
      return { message: asked.message, exitCode: exitCodes.failed };
    case 'refused':
      return { message: refusedText(asked), exitCode: exitCodes.refused };
  }
}

const whoServes = 'See who could serve it: xim agents list';

/** The next step of what endpoints refuse; of the rest, it is that of every command. */
const nextSteps: Readonly<Record<string, string>> = {
  no_agent_available: whoServes,
  queue_timeout: whoServes,
  model_loading: whoServes,
  endpoint_inactive: 'Let it answer again: xim endpoints set SLUG --active',
  invalid_api_key: 'Give another in XIM_API_KEY; an owner makes it with: xim keys create NAME',
};

function refusedText(asked: Extract<Asked, { kind: 'refused' }>): string {
  const next = asked.code === null ? undefined : nextSteps[asked.code];
  if (next !== undefined) return `${asked.message} ${next}`;
  return refusalText(asked, { auth: null, topic: 'endpoints', name: 'chat' });
}

/** Undefined: the model said all that it had to say. */
export function answerEnding({
  finishReason,
}: Pick<Extract<Asked, { kind: 'answered' }>, 'finishReason'>): string | undefined {
  if (finishReason === 'length') return 'The answer was cut off at its longest (--max-tokens).\n';
  return finishReason === 'content_filter' ? 'The answer was cut off by a filter.\n' : undefined;
}
