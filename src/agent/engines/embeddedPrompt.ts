/**
 * Prompts of a loaded model: its own chat template (Jinja, from the GGUF), rendered and tokenised.
 *
 * Invariants
 * P1 Text of a message never becomes a control token: a user who writes `<|im_end|>` writes ten
 *    characters. The template's own text does.
 * P2 A prompt that cannot fit is not tokenised: nobody blocks the agent with a large body.
 */
import { Template } from '@huggingface/jinja';
import type { LlamaModel, Token } from 'node-llama-cpp';
import type { PromptMessage, PromptSource } from './embeddedRequest.ts';

export type PromptOutcome =
  | { kind: 'prompt'; tokens: Token[] }
  /** More tokens than fit for certain; they were not counted. */
  | { kind: 'too_long' }
  /** A plain sentence. */
  | { kind: 'refused'; message: string; param: 'messages' | 'prompt' };

export interface PromptBuilder {
  /** The model has a chat template that works. */
  readonly canChat: boolean;
  /** A template puts an answer after its prompt, so that one can go on from its middle. */
  readonly canContinue: boolean;
  build(source: PromptSource): PromptOutcome;
}

/** Marks a place where two texts meet that must not be read together. From the private use area. */
const marks = Array.from({ length: 64 }, (_, at) => String.fromCodePoint(0xe000 + at));

/** `contextTokens` is the most that a prompt may have. */
export function createPromptBuilder(model: LlamaModel, contextTokens: number): PromptBuilder {
  const vocabulary = readVocabulary(model);
  // Some tokenisers put a space in front of what they take for the beginning; only one part is it.
  const tokenize = (text: string, part: { special: boolean; at: number }): Token[] =>
    model.tokenize(text, part.special, ...(part.at > 0 ? (['trimLeadingSpace'] as const) : []));
  const fits = (text: string): boolean =>
    Buffer.byteLength(text) <= contextTokens * vocabulary.longestTokenBytes;
  const template = compile(model);

  const render = (messages: readonly PromptMessage[]): string => {
    if (template === undefined) throw new Error('the model has no chat template');
    return template.render({
      messages: messages.map((message) => ({ ...message })),
      add_generation_prompt: true,
      bos_token: model.tokens.bosString ?? '',
      eos_token: model.tokens.eosString ?? '',
    });
  };

  const buildChat = (source: Extract<PromptSource, { kind: 'chat' }>): PromptOutcome => {
    const all = source.messages;
    if (!fits(all.map(({ content }) => content).join(''))) return { kind: 'too_long' };
    const guard = guardFor(all, vocabulary.controlTexts);
    const continued = source.continueFinal ? all.at(-1)?.content : undefined;
    const shown = continued === undefined ? all : all.slice(0, -1);
    let text: string;
    try {
      text = render(shown.map((message) => guard.hide(message)));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const message = `The model's chat template does not take these messages: ${why}`;
      return { kind: 'refused', message: message.slice(0, 500), param: 'messages' };
    }
    const tokens = guard.split(text).flatMap((part, at) => tokenize(part, { special: true, at }));
    if (continued !== undefined) tokens.push(...tokenize(continued, { special: false, at: 1 }));
    return { kind: 'prompt', tokens: withBos(model, tokens) };
  };

  return {
    canChat: template !== undefined && works(() => render(probe.slice(0, 1))),
    canContinue: template !== undefined && works(() => continuesPlainly(render)),
    build(source) {
      if (source.kind === 'chat') return buildChat(source);
      if (source.kind === 'text') {
        if (!fits(source.text)) return { kind: 'too_long' };
        const tokens = withBos(model, tokenize(source.text, { special: false, at: 0 }));
        return tokens.length > 0 ? { kind: 'prompt', tokens } : emptyPrompt;
      }
      if (source.tokens.some((token) => token >= vocabulary.size)) {
        const message = `A token of the prompt is outside the vocabulary (${vocabulary.size}).`;
        return { kind: 'refused', message, param: 'prompt' };
      }
      return source.tokens.length > 0
        ? { kind: 'prompt', tokens: [...source.tokens] as Token[] }
        : emptyPrompt;
    },
  };
}

const emptyPrompt: PromptOutcome = {
  kind: 'refused',
  message: 'The prompt is empty.',
  param: 'prompt',
};

const probe: readonly PromptMessage[] = [
  { role: 'user', content: 'Question' },
  { role: 'assistant', content: 'Some answer' },
];

function compile(model: LlamaModel): Template | undefined {
  const source = model.fileInfo.metadata?.tokenizer?.chat_template;
  if (typeof source !== 'string' || source === '') return undefined;
  try {
    return new Template(source);
  } catch {
    // A template that is no Jinja is a model without chat; the offer says so.
    return undefined;
  }
}

function works(attempt: () => unknown): boolean {
  try {
    return attempt() !== false;
  } catch {
    return false;
  }
}

/**
 * Whether the text of a finished answer begins with the prompt that asked for it, then the answer.
 */
function continuesPlainly(render: (messages: readonly PromptMessage[]) => string): boolean {
  const asked = render(probe.slice(0, 1));
  return render(probe).startsWith(`${asked}${probe[1]?.content ?? ''}`);
}

function withBos(model: LlamaModel, tokens: Token[]): Token[] {
  const { bos, shouldPrependBosToken } = model.tokens;
  if (!shouldPrependBosToken || bos === null || tokens[0] === bos) return tokens;
  return [bos, ...tokens];
}

interface Vocabulary {
  size: number;
  longestTokenBytes: number;
  /** Texts of control tokens, as a template writes them. */
  controlTexts: readonly string[];
}

function readVocabulary(model: LlamaModel): Vocabulary {
  const controlTexts: string[] = [];
  let size = 0;
  let longestTokenBytes = 1;
  for (const token of model.iterateAllTokens()) {
    size += 1;
    const text = model.detokenize([token], true);
    longestTokenBytes = Math.max(longestTokenBytes, Buffer.byteLength(text));
    if (text !== '' && model.isSpecialToken(token)) controlTexts.push(text);
  }
  return { size, longestTokenBytes, controlTexts };
}

/** Keeps control texts inside messages from becoming control tokens (P1). */
function guardFor(
  messages: readonly PromptMessage[],
  controlTexts: readonly string[],
): { hide(message: PromptMessage): PromptMessage; split(text: string): string[] } {
  const whole = messages.flatMap((message) => Object.values(message)).join('\n');
  const present = controlTexts.filter((text) => whole.includes(text));
  const mark = marks.find((candidate) => !whole.includes(candidate));
  if (present.length === 0 || mark === undefined) {
    return { hide: (message) => message, split: (text) => [text] };
  }
  // Broken after its first character, a control text is two texts; the mark is taken out again.
  const hide = (value: string): string =>
    present.reduce((text, control) => {
      const [first = '', ...rest] = control;
      return text.replaceAll(control, `${first}${mark}${rest.join('')}`);
    }, value);
  return {
    hide: ({ role, content, name }) => ({
      role: hide(role),
      content: hide(content),
      ...(name !== undefined && { name: hide(name) }),
    }),
    split: (text) => text.split(mark),
  };
}
