/** What `openapi.json` says of one row of the route table beyond path, method and access. */
import type { z } from 'zod';
import type { ErrorName } from '../errors.ts';

export interface OperationAnswer {
  status: number;
  media: string;
  /** Of JSON, and of each event's data of a stream; absent: bytes or text. */
  schema?: z.ZodType;
}

export interface Operation {
  query?: z.ZodObject;
  headers?: z.ZodObject;
  body?: z.ZodType;
  /** An absent body counts as `{}`. */
  bodyOptional?: boolean;
  answers: readonly OperationAnswer[];
  /** Names of headers that stand on a good answer, with what they say. */
  answerHeaders?: Readonly<Record<string, string>>;
  refusals: readonly ErrorName[];
}
