/**
 * Wire-final bytes: exactly what the client will read. The router relays them unread, so everything
 * that the surface promises of a stream is kept here (spec 5.4).
 *
 * Invariants
 * W3 One JSON object per event; `id`, `created` and `model` never change; the last event of an
 *    answer is `data: [DONE]`.
 * W4 With `includeUsage` the usage chunk (`choices: []`) comes last and every other chunk has
 *    `usage: null`; without it no chunk has the member.
 * W5 An engine chunk is stringified once; its bytes are one buffer, never joined with another
 *    chunk's.
 * W6 What has no choice is no answer, whatever its status: it is never made into an empty one.
 */
import type { ErrorEnvelope } from '../../api/errors.ts';
import type { EngineUsage, JsonObject } from '../engines/engine.ts';
import { isAbsent } from './jsonValue.ts';
import { ChatChoices, wireChatChoices } from './wireChat.ts';
import { CompletionChoices, wireCompletionChoices } from './wireCompletion.ts';
import { usageOf, wireUsage } from './wireUsage.ts';

export const streamContentType = 'text/event-stream; charset=utf-8';
export const jsonContentType = 'application/json';

/** What every part of one answer carries; from OPEN. */
export interface AnswerFrame {
  requestId: string;
  path: string;
  model: string;
  /** Seconds since the epoch. */
  created: number;
  includeUsage: boolean;
}

interface Choices {
  readonly any: boolean;
  chunk(event: JsonObject): string;
  rest(): string;
}

/** One streamed answer. */
export class WireStream {
  private readonly prefix: string;
  private readonly suffix: string;
  private readonly includeUsage: boolean;
  private readonly choices: Choices;
  private usage: EngineUsage | undefined;

  constructor(frame: AnswerFrame) {
    const chat = isChat(frame.path);
    const object = chat ? 'chat.completion.chunk' : 'text_completion';
    const head = { id: answerId(frame), object, created: frame.created, model: frame.model };
    this.prefix = `data: ${JSON.stringify(head).slice(0, -1)},"choices":[`;
    this.suffix = frame.includeUsage ? '],"usage":null}\n\n' : ']}\n\n';
    this.includeUsage = frame.includeUsage;
    this.choices = chat ? new ChatChoices(bareId(frame)) : new CompletionChoices();
  }

  /** The bytes of one engine chunk; undefined when nothing of it is for the client. */
  chunk(event: JsonObject): Buffer | undefined {
    if (!isAbsent(event['usage'])) this.usage = usageOf(event) ?? this.usage;
    const choices = this.choices.chunk(event);
    return choices === '' ? undefined : Buffer.from(this.prefix + choices + this.suffix);
  }

  /**
   * The end of an answer that the engine completed; undefined when it was none (W6). `usage` counts
   * where no chunk had any.
   */
  finish(usage: EngineUsage | undefined): Buffer | undefined {
    if (!this.choices.any) return undefined;
    const rest = this.choices.rest();
    const last = rest === '' ? '' : this.prefix + rest + this.suffix;
    const counted = this.usage ?? usage;
    const usageChunk =
      this.includeUsage && counted !== undefined
        ? `${this.prefix}],"usage":${JSON.stringify(wireUsage(counted))}}\n\n`
        : '';
    return Buffer.from(`${last}${usageChunk}data: [DONE]\n\n`);
  }
}

/** The end of an answer that broke after its first byte: never a clean stop. */
export function wireErrorEvent(envelope: ErrorEnvelope): Buffer {
  return Buffer.from(`data: ${JSON.stringify(envelope)}\n\ndata: [DONE]\n\n`);
}

/**
 * An answer that was not streamed; undefined when it is none (W6). Routes without a shape of their
 * own only get their `model`.
 */
export function wireAnswer(frame: AnswerFrame, event: JsonObject): Buffer | undefined {
  const usage = usageOf(event);
  const counted = usage === undefined ? {} : { usage: wireUsage(usage) };
  const { created, model } = frame;
  if (isChat(frame.path)) {
    const choices = wireChatChoices(event, bareId(frame));
    if (choices.length === 0) return undefined;
    const head = { id: answerId(frame), object: 'chat.completion', created, model };
    return json({ ...head, choices, ...counted });
  }
  if (isCompletion(frame.path)) {
    const choices = wireCompletionChoices(event, 'stop');
    if (choices.length === 0) return undefined;
    const head = { id: answerId(frame), object: 'text_completion', created, model };
    return json({ ...head, choices, ...counted });
  }
  return Array.isArray(event['data']) ? json({ ...event, model }) : undefined;
}

const json = (value: JsonObject): Buffer => Buffer.from(JSON.stringify(value));
const isChat = (path: string): boolean => path === '/v1/chat/completions';
const isCompletion = (path: string): boolean => path === '/v1/completions';

const answerId = (frame: AnswerFrame): string =>
  `${isChat(frame.path) ? 'chatcmpl' : 'cmpl'}-${bareId(frame)}`;

/** The request's id without its prefix. */
const bareId = (frame: AnswerFrame): string => frame.requestId.replace(/^req_/, '');
