/**
 * Chat completions: what an engine says, made into what OpenAI's schemas say.
 *
 * Invariants
 * W1 The first chunk of a choice has the role, no later one has it.
 * W2 The last chunk of a choice has a `finish_reason`, no earlier one has it, and nothing follows.
 */
import type { JsonObject } from '../engines/engine.ts';
import { arrayOf, isAbsent, objectOf, stringOf } from './jsonValue.ts';
import { wireLogprobs } from './wireLogprobs.ts';
import { ToolCalls } from './wireToolCalls.ts';

/** Reasons that OpenAI has; engines' own words for the same. */
const finishReasons: ReadonlyMap<string, string> = new Map([
  ['stop', 'stop'],
  ['length', 'length'],
  ['tool_calls', 'tool_calls'],
  ['function_call', 'function_call'],
  ['content_filter', 'content_filter'],
  ['eos', 'stop'],
  ['eos_token', 'stop'],
  ['stop_sequence', 'stop'],
  ['max_tokens', 'length'],
]);

/** Members of a message that pass as they are, where the engine has them. */
const passed = ['reasoning_content', 'reasoning', 'function_call', 'annotations', 'audio'] as const;

/**
 * The reason in OpenAI's words; null while there is none. An unknown word is an end all the same.
 */
export function wireFinishReason(value: unknown): string | null {
  if (typeof value !== 'string' || value === '') return null;
  return finishReasons.get(value) ?? 'stop';
}

/** The other members of a choice that goes on. */
const stillGoing = '"logprobs":null,"finish_reason":null';

interface ChoiceState {
  roleSent: boolean;
  finished: boolean;
  tools: ToolCalls;
}

/** The choices of one streamed answer. */
export class ChatChoices {
  private readonly callPrefix: string;
  private readonly states: ChoiceState[] = [];

  /** `callPrefix` makes the ids of tool calls that have none. */
  constructor(callPrefix: string) {
    this.callPrefix = callPrefix;
  }

  /**
   * The choices of one engine chunk as JSON text, joined by commas; '' when nothing is to be
   * said.
   */
  chunk(event: JsonObject): string {
    const choices = event['choices'];
    if (!Array.isArray(choices) || choices.length === 0) return '';
    if (choices.length === 1) return this.choice(choices[0]);
    return choices
      .map((choice) => this.choice(choice))
      .filter((text) => text !== '')
      .join(',');
  }

  /** Whether the engine has begun any choice: what has none is no answer. */
  get any(): boolean {
    return this.states.length > 0;
  }

  /** What must still be said when the engine is done: a reason for every choice (W2). */
  rest(): string {
    return this.states
      .map((state, index) => ({ state, index }))
      .filter(({ state }) => state !== undefined && !state.finished)
      .map(({ index }) => {
        return JSON.stringify({ index, delta: {}, logprobs: null, finish_reason: 'stop' });
      })
      .join(',');
  }

  private choice(value: unknown): string {
    const choice = objectOf(value);
    if (choice === undefined) return '';
    const given = objectOf(choice['delta']);
    const reason = wireFinishReason(choice['finish_reason']);
    if (given === undefined && reason === null) return '';
    const index = indexOf(choice);
    const state = this.state(index);
    if (state.finished) return '';
    const delta = given ?? {};
    // The happy path, thousands of times a second: a piece of text and nothing else.
    if (reason === null && state.roleSent && isAbsent(choice['logprobs']) && isPlainText(delta)) {
      const content = JSON.stringify(delta['content']);
      return `{"index":${index},"delta":{"content":${content}},${stillGoing}}`;
    }
    state.finished = reason !== null;
    return JSON.stringify({
      index,
      delta: this.delta(state, delta),
      logprobs: wireLogprobs(choice['logprobs']),
      finish_reason: reason,
    });
  }

  private delta(state: ChoiceState, given: JsonObject): JsonObject {
    const delta: JsonObject = {};
    if (!state.roleSent) {
      state.roleSent = true;
      delta['role'] = 'assistant';
      delta['content'] = stringOf(given['content']) ?? '';
      delta['refusal'] = null;
    } else if (typeof given['content'] === 'string') delta['content'] = given['content'];
    if (typeof given['refusal'] === 'string') delta['refusal'] = given['refusal'];
    for (const name of passed) if (!isAbsent(given[name])) delta[name] = given[name];
    const calls = state.tools.delta(given['tool_calls']);
    if (calls !== undefined) delta['tool_calls'] = calls;
    return delta;
  }

  private state(index: number): ChoiceState {
    const known = this.states[index];
    if (known !== undefined) return known;
    const tools = new ToolCalls(`${this.callPrefix}_${index}`);
    const fresh = { roleSent: false, finished: false, tools };
    this.states[index] = fresh;
    return fresh;
  }
}

/** The `choices` of an answer that was not streamed: those that have a message. */
export function wireChatChoices(event: JsonObject, callPrefix: string): JsonObject[] {
  return arrayOf(event['choices']).flatMap((value) => {
    const choice = objectOf(value);
    const given = objectOf(choice?.['message']);
    if (choice === undefined || given === undefined) return [];
    const index = indexOf(choice);
    const message: JsonObject = {
      role: 'assistant',
      content: stringOf(given['content']) ?? null,
      refusal: stringOf(given['refusal']) ?? null,
    };
    for (const name of passed) if (!isAbsent(given[name])) message[name] = given[name];
    const calls = new ToolCalls(`${callPrefix}_${index}`).whole(given['tool_calls']);
    if (calls !== undefined) message['tool_calls'] = calls;
    return [
      {
        index,
        message,
        logprobs: wireLogprobs(choice['logprobs']),
        finish_reason: wireFinishReason(choice['finish_reason']) ?? 'stop',
      },
    ];
  });
}

/** A delta that holds text and at most an empty or repeated other member. */
function isPlainText(delta: JsonObject): boolean {
  if (typeof delta['content'] !== 'string') return false;
  for (const name in delta) {
    if (name === 'content' || name === 'role') continue;
    const value = delta[name];
    if (!isAbsent(value) && !(Array.isArray(value) && value.length === 0)) return false;
  }
  return true;
}

/** At most 128 choices, as OpenAI has it; anything else counts as the first. */
function indexOf(choice: JsonObject): number {
  const { index } = choice;
  return typeof index === 'number' && Number.isInteger(index) && index >= 0 && index < 128
    ? index
    : 0;
}
