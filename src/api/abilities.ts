/**
 * What a request can ask of an engine beyond plain text, by the words that an agent grants an
 * instance with after it has probed them. A request is only sent where all that it asks for was
 * granted; what no engine has is refused by name (`unsupported_parameter`).
 */
export const abilities = [
  /** `/v1/chat/completions` at all. */
  'chat',
  'completions',
  'embeddings',
  /** `tools`, `tool_choice`, and messages of role `tool`. */
  'tools',
  'logprobs',
  /** `n` above 1. */
  'choices',
  /** `response_format` `json_object`. */
  'json',
  /** `response_format` `json_schema`. */
  'json_schema',
  /** Parts of a message that are not text. */
  'image',
  'audio',
  /** Goes on from the middle of an answer: what resuming a stream needs. */
  'continue',
] as const;

export type Ability = (typeof abilities)[number];

/** The parameter that asks for an ability, for the refusal that names it. */
export const parameterOfAbility: Readonly<Record<Ability, string | null>> = {
  chat: null,
  completions: null,
  embeddings: null,
  tools: 'tools',
  logprobs: 'logprobs',
  choices: 'n',
  json: 'response_format',
  json_schema: 'response_format',
  image: 'messages',
  audio: 'messages',
  continue: null,
};
