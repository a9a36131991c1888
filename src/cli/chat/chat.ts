/** `xim chat`: a question and its answer, or a conversation. */
import { defineConfig, type ConfigOf } from '../../lib/config.ts';
import { defineCommand, type CommandContext } from '../command.ts';
import { endCommand, print, withServer, type ServerSession } from '../connection/withServer.ts';
import { exitCodes } from '../exitCodes.ts';
import { askModel, type Asking, type ChatMessage } from './askModel.ts';
import { answerEnding, answerFailure } from './answerText.ts';
import { askingOptions, chatTarget, type ChatTarget } from './chatTarget.ts';
import { converse } from './converse.ts';

const options = defineConfig({
  endpoint: {
    type: 'text',
    flag: 'endpoint',
    default: undefined,
    placeholder: 'SLUG',
    help: 'Whom to ask; by default the context’s endpoint (see: xim endpoints use).',
    group: 'The question',
  },
  system: {
    type: 'text',
    flag: 'system',
    default: undefined,
    placeholder: 'TEXT',
    help: 'What the model is told before everything else.',
    group: 'The question',
  },
  maxTokens: {
    type: 'integer',
    flag: 'max-tokens',
    default: undefined,
    min: 1,
    placeholder: 'N',
    help: 'How long an answer may be.',
    group: 'The question',
  },
  temperature: {
    type: 'number',
    flag: 'temperature',
    default: undefined,
    min: 0,
    max: 2,
    placeholder: 'X',
    help: 'How free the choice of words is, 0 to 2.',
    group: 'The question',
  },
  ...askingOptions,
});
type Options = ConfigOf<typeof options>;

export const chat = defineCommand({
  words: ['chat'],
  operands: ['[TEXT]'],
  summary: 'Ask an endpoint, or talk to it',
  details:
    'With TEXT, or with text on standard input, one answer; with both, TEXT stands first. On a ' +
    'terminal without TEXT, a conversation: ^C cancels an answer, ^D ends it, /help says more.',
  options,
  run: (context, { options: given, operands: [text] }) =>
    withServer({ name: 'chat', context, options: given }, async (session) => {
      const { input } = context;
      const question = await questionOf(context, text);
      if (question === undefined && given.output === 'json') {
        endCommand('a conversation has no JSON; give the question', exitCodes.usage);
      }
      const target = await chatTarget(session, context, given);
      const asking = createAsking({ session, target, options: given });
      if (question !== undefined) return oneAnswer({ context, options: given }, asking, question);
      return converse({ context, ask: asking, target, dialogue: input.dialogue() });
    }),
});

/** Undefined: a conversation. */
async function questionOf(
  { input }: CommandContext,
  text: string | undefined,
): Promise<string | undefined> {
  if (text === undefined && input.interactive) return undefined;
  const piped = text === undefined || input.piped ? (await input.rest()).trim() : '';
  const whole = [text, piped].filter((part) => part !== undefined && part !== '').join('\n\n');
  if (whole !== '') return whole;
  return endCommand('there is no question; give it as TEXT or on standard input', exitCodes.usage);
}

function createAsking(parts: {
  session: ServerSession;
  target: ChatTarget;
  options: Options;
}): Asking {
  const { session, target, options: given } = parts;
  const { system, maxTokens, temperature } = given;
  const { project, endpoint, renew } = target;
  const base = [project, endpoint].map(encodeURIComponent).join('/');
  const path = `/${base}/v1/chat/completions`;
  const before: ChatMessage[] = system === undefined ? [] : [{ role: 'system', content: system }];
  let { key } = target;
  const ask: Asking = async (messages, listening) => {
    const body = {
      model: endpoint,
      messages: [...before, ...messages],
      ...(maxTokens === undefined ? {} : { max_completion_tokens: maxTokens }),
      ...(temperature === undefined ? {} : { temperature }),
    };
    const asked = await askModel({ address: session.context, key, path, body }, listening);
    const stale = asked.kind === 'refused' && asked.code === 'invalid_api_key';
    if (!stale || renew === null) return asked;
    key = await renew();
    return askModel({ address: session.context, key, path, body }, listening);
  };
  return ask;
}

async function oneAnswer(
  { context, options: given }: { context: CommandContext; options: Options },
  ask: Asking,
  question: string,
): Promise<number> {
  const { terminal } = context;
  const table = given.output === 'table';
  const onText = (text: string): void => {
    if (table) terminal.out(text);
  };
  const { signal } = new AbortController();
  const asked = await ask([{ role: 'user', content: question }], { signal, onText });
  if (table && 'text' in asked && asked.text !== '' && !asked.text.endsWith('\n')) {
    terminal.out('\n');
  }
  if (asked.kind !== 'answered') {
    const { message, exitCode } = answerFailure(asked);
    endCommand(message, exitCode);
  }
  const { text, usage, agent, finishReason: finish_reason } = asked;
  print({ context, options: given }, { text, finish_reason, agent, usage }, () => '');
  const ending = answerEnding(asked);
  if (table && ending !== undefined) terminal.note(ending);
  return exitCodes.done;
}
