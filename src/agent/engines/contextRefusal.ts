/**
 * "The prompt is too long", told apart from an engine's other refusals. Each engine says it in its
 * own way, and never is a message looked into:
 *
 * - llama.cpp's server has a type for it, `exceed_context_size_error`.
 * - vLLM names its own measures as the bad parameter: `input_tokens`, `input_text`. That more
 *   output was asked for than fits it blames on `max_tokens` or `max_completion_tokens`, which have
 *   been checked for everything else before.
 * - vLLM up to 0.12 names nothing: a 400 of class `BadRequestError` like any other. It is asked how
 *   many tokens the prompt has (`/tokenize`), and they are compared with `max_model_len`.
 */
import { maxTokenCountBytes, mostTemplateTokens, tokenTextBytes } from '../limits.ts';
import { arrayOf, objectOf } from '../serving/jsonValue.ts';
import { askEngine, type ProbeTarget } from './askEngine.ts';
import type { EngineEnd, EngineError, EngineRequest, JsonObject } from './engine.ts';

type Refused = Extract<EngineEnd, { kind: 'refused' }>;

export interface RefusedBy {
  /** As `EngineOffer.engine`. */
  engine: string;
  contextLength: number | undefined;
  target: ProbeTarget;
  request: EngineRequest;
  /** The engine's name of the model. */
  engineModel: string;
  signal: AbortSignal;
}

const contextTypes = new Set(['exceed_context_size_error', 'context_length_exceeded']);
const promptParams = new Set(['input_tokens', 'input_text']);
const outputParams = new Set(['max_tokens', 'max_completion_tokens']);

/** The refusal, with OpenAI's code and parameter where it is about the context. Never rejects. */
export async function contextRefusal(end: Refused, by: RefusedBy): Promise<Refused> {
  const exceeded = namesContext(end.error, by) || (await measuresContext(end, by));
  if (!exceeded) return end;
  const { path } = by.request;
  const param = path === '/v1/chat/completions' ? 'messages' : 'prompt';
  return { ...end, error: { ...end.error, code: 'context_length_exceeded', param } };
}

function namesContext({ type, param = '' }: EngineError, by: RefusedBy): boolean {
  if (contextTypes.has(type ?? '')) return true;
  if (by.engine !== 'vllm') return false;
  if (outputParams.has(param)) return outputTokens(by.request.body) > 0;
  return promptParams.has(param);
}

/** Whether the prompt and the output that was asked for have more tokens than the context. */
async function measuresContext({ status, error }: Refused, by: RefusedBy): Promise<boolean> {
  const { engine, contextLength, target, request, signal } = by;
  if (engine !== 'vllm' || status !== 400 || error.param !== undefined) return false;
  if (contextLength === undefined || !mayExceed(request.body, contextLength)) return false;
  const asked = question(request, by.engineModel);
  if (asked === undefined) return false;
  // An answer that is longer than so many tokens can be has more of them.
  const mostBytes = contextLength * tokenTextBytes + maxTokenCountBytes.frame;
  const maxAnswerBytes = Math.min(mostBytes, maxTokenCountBytes.most);
  const call = { path: '/tokenize', body: asked, signal, maxAnswerBytes };
  const answer = await askEngine(target, call);
  if (answer.kind === 'too_large') return mostBytes <= maxTokenCountBytes.most;
  if (answer.kind === 'failed' || answer.status !== 200) return false;
  const count = answer.body?.['count'];
  if (typeof count !== 'number') return false;
  return count >= contextLength || count + outputTokens(request.body) > contextLength;
}

/** No token of a text is shorter than a byte; pictures are not counted by their bytes. */
function mayExceed(body: JsonObject, contextLength: number): boolean {
  const messages = arrayOf(body['messages']).map((message) => objectOf(message)?.['content']);
  if (messages.some((content) => Array.isArray(content))) return true;
  const bytes = Buffer.byteLength(JSON.stringify(body));
  return bytes + mostTemplateTokens + outputTokens(body) >= contextLength;
}

function outputTokens(body: JsonObject): number {
  const wanted = body['max_completion_tokens'] ?? body['max_tokens'];
  return typeof wanted === 'number' ? wanted : 0;
}

/** What decides how a prompt is put together. */
const promptMembers = [
  'messages',
  'tools',
  'prompt',
  'chat_template',
  'chat_template_kwargs',
  'add_generation_prompt',
  'continue_final_message',
  'add_special_tokens',
] as const;

function question({ body, path }: EngineRequest, model: string): JsonObject | undefined {
  const isChat = path === '/v1/chat/completions';
  if (!isChat && typeof body['prompt'] !== 'string') return undefined;
  const given = promptMembers.filter((name) => body[name] !== undefined && body[name] !== null);
  return { model, ...Object.fromEntries(given.map((name) => [name, body[name]])) };
}
