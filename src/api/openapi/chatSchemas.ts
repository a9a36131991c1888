/**
 * The chat completion as `openapi.json` shows it: the fields that the platform reads
 * (`api/chatRequest.ts` is what checks them). Whatever else the body has goes to the engine as it
 * came, and what the engine says comes back in OpenAI's shape.
 */
import { z } from 'zod';

const text = z.looseObject({ type: z.literal('text'), text: z.string() });
const image = z.looseObject({ type: z.literal('image_url') });
const audio = z.looseObject({ type: z.literal('input_audio') });
const refusal = z.looseObject({ type: z.literal('refusal') });
const content = z.union([z.string(), z.array(z.union([text, image, audio, refusal]))]);

const message = z.union([
  z.looseObject({ role: z.enum(['system', 'developer', 'user', 'tool', 'function']), content }),
  z.looseObject({ role: z.literal('assistant'), content: content.nullish() }),
]);

export const chatBodySchema = z
  .looseObject({
    model: z.string().max(256).describe('Slug of the endpoint; on its own address not needed'),
    messages: z.array(message).min(1).max(10_000),
    stream: z.boolean().nullish(),
    max_tokens: z.int().min(1).nullish(),
    max_completion_tokens: z.int().min(1).nullish(),
    n: z.int().min(1).max(128).nullish(),
    temperature: z.number().min(0).max(2).nullish(),
    top_p: z.number().min(0).max(1).nullish(),
    presence_penalty: z.number().min(-2).max(2).nullish(),
    frequency_penalty: z.number().min(-2).max(2).nullish(),
    seed: z.int().nullish(),
    stop: z.union([z.string(), z.array(z.string()).max(16)]).nullish(),
  })
  .meta({ id: 'ChatCompletionRequest' });

const usage = z.looseObject({
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  total_tokens: z.int(),
});

const common = { id: z.string(), created: z.int(), model: z.string() };

export const chatAnswerSchema = z
  .looseObject({
    ...common,
    object: z.literal('chat.completion'),
    choices: z.array(
      z.looseObject({
        index: z.int(),
        finish_reason: z.string(),
        message: z.looseObject({ role: z.literal('assistant'), content: z.string().nullable() }),
      }),
    ),
    usage: usage.optional(),
  })
  .meta({ id: 'ChatCompletion' });

export const chatChunkSchema = z
  .looseObject({
    ...common,
    object: z.literal('chat.completion.chunk'),
    choices: z.array(
      z.looseObject({
        index: z.int(),
        delta: z.looseObject({}),
        finish_reason: z.string().nullish(),
      }),
    ),
    usage: usage.nullish(),
  })
  .meta({ id: 'ChatCompletionChunk' });

export const modelSchema = z
  .strictObject({
    id: z.string(),
    object: z.literal('model'),
    created: z.int(),
    owned_by: z.string(),
  })
  .meta({ id: 'Model' });

export const modelsSchema = z.strictObject({
  object: z.literal('list'),
  data: z.array(modelSchema),
});
