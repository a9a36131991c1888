/**
 * `openapi.json` (OpenAPI 3.1), written from the route table and the contracts alone: what it says
 * is what the listener does. `npm run openapi` writes it to `docs/`, a test holds the two together,
 * and the server gives it at `/api/v1/openapi.json`.
 */
import { z } from 'zod';
import type { Contract } from '../contract.ts';
import { contracts } from '../contracts.ts';
import { errorTable, type ErrorName } from '../errors.ts';
import { routes, type HandlerOf, type Route } from '../routes.ts';
import type { Access } from '../routes/access.ts';
import { controlOperation } from './controlOperation.ts';
import { createJsonSchemas, type JsonObject, type JsonSchemas } from './jsonSchemas.ts';
import type { Operation } from './operation.ts';
import { otherOperations } from './otherOperations.ts';

const errorSchema = z
  .looseObject({
    error: z.looseObject({
      message: z.string(),
      type: z.string(),
      param: z.string().nullable(),
      code: z.string().nullable(),
    }),
  })
  .meta({ id: 'Error' });

const refused = '#/components/responses/Refused';

/** Rows that only a browser or a proxy asks for. */
const unlisted = new Set(['OPTIONS', 'HEAD']);

export function openApiDocument(): JsonObject {
  const schemas = createJsonSchemas();
  const paths: Record<string, JsonObject> = {};
  const uses = new Map<string, number>();
  for (const route of routes) {
    if (unlisted.has(route.method)) continue;
    const count = (uses.get(route.handler) ?? 0) + 1;
    uses.set(route.handler, count);
    const operationId = count === 1 ? route.handler : `${route.handler}${count}`;
    const path = route.path.replace('*}', '}');
    const operation = describe(route, operationId, schemas);
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation };
  }
  const error = { 'application/json': { schema: schemas.output(errorSchema) } };
  return {
    openapi: '3.1.0',
    info: {
      title: 'XIM',
      version: '1',
      description:
        'Times are ISO 8601 in UTC, sizes are bytes, spans carry their unit in the name. Unknown ' +
        'is null. Every refusal has the shape of `Error`.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: schemas.components(),
      responses: { Refused: { description: 'A refusal', content: error } },
      securitySchemes,
    },
  };
}

const securitySchemes = {
  session: { type: 'apiKey', in: 'cookie', name: 'xim_session' },
  managementKey: { type: 'http', scheme: 'bearer', description: 'API key, scope `management`' },
  inferenceKey: { type: 'http', scheme: 'bearer', description: 'API key, scope `inference`' },
};

function securityOf(access: Access): JsonObject[] {
  switch (access.by) {
    case 'anyone':
    case 'signed_body':
    case 'agent':
      return [];
    case 'api_key':
      return [{ [access.scope === 'inference' ? 'inferenceKey' : 'managementKey']: [] }];
    case 'session':
      return [{ session: [] }];
    case 'session_or_key':
      return [{ session: [] }, { managementKey: [] }];
    case 'loopback_or_key':
      return [{}, { managementKey: [] }];
  }
}

function operationOf(route: Route): Operation {
  if (route.plane !== 'control') {
    return otherOperations[route.handler as keyof typeof otherOperations];
  }
  const contract: Contract = contracts[route.handler as HandlerOf<'control'>];
  return controlOperation(route, contract);
}

function describe(route: Route, operationId: string, schemas: JsonSchemas): JsonObject {
  const operation = operationOf(route);
  const { body, bodyOptional } = operation;
  const parameters = parametersOf(route, operation, schemas);
  return {
    operationId,
    summary: route.summary,
    tags: [route.plane],
    security: securityOf(route.access),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: bodyOptional !== true,
            content: { 'application/json': { schema: schemas.input(body) } },
          },
        }),
    responses: { ...answersOf(operation, schemas), ...refusalsOf(operation) },
  };
}

function parametersOf(route: Route, operation: Operation, schemas: JsonSchemas): JsonObject[] {
  const named = [...route.path.matchAll(/\{(\w+)\*?\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string', minLength: 1 },
  }));
  const { query, headers } = operation;
  return [
    ...named,
    ...(query === undefined ? [] : listed(schemas.input(query), 'query')),
    ...(headers === undefined ? [] : listed(schemas.input(headers), 'header')),
  ];
}

/** The members of an object's schema as parameters. */
function listed(schema: JsonObject, place: 'query' | 'header'): JsonObject[] {
  const { properties = {}, required = [] } = schema as {
    properties?: Record<string, JsonObject>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: place,
    ...(description === undefined ? {} : { description }),
    required: required.includes(name),
    schema: rest,
  }));
}

function answersOf(operation: Operation, schemas: JsonSchemas): JsonObject {
  const answers: Record<string, { description: string; content?: JsonObject }> = {};
  for (const { status, media, schema } of operation.answers) {
    const answer = (answers[status] ??= { description: 'Good', ...headersOf(operation) });
    if (media === '') continue;
    const shown = schema === undefined ? { type: 'string' } : schemas.output(schema);
    // Of a stream of events, the schema is that of each event's data (OpenAPI 3.1 has no word).
    const entry = media === 'text/event-stream' ? { 'x-event-data': shown } : { schema: shown };
    answer.content = { ...answer.content, [media]: entry };
  }
  return answers;
}

function headersOf({ answerHeaders = {} }: Operation): { headers?: JsonObject } {
  const entries = Object.entries(answerHeaders);
  if (entries.length === 0) return {};
  const headers = entries.map(([name, description]) => [
    name,
    { description, schema: { type: 'string' } },
  ]);
  return { headers: Object.fromEntries(headers) as JsonObject };
}

/** One answer for each status, with the codes that it comes with. */
function refusalsOf(operation: Operation): JsonObject {
  const codes = new Map<number, Set<string>>();
  for (const name of operation.refusals) {
    const { status, code }: { status: number; code: string | null } = errorTable[name as ErrorName];
    codes.set(status, (codes.get(status) ?? new Set()).add(code ?? 'null'));
  }
  return Object.fromEntries(
    [...codes].map(([status, names]) => [
      status,
      { $ref: refused, description: `\`code\`: ${[...names].toSorted().join(', ')}` },
    ]),
  );
}
