/**
 * Schemas as `openapi.json` has them: JSON Schema 2020-12, named ones (`.meta({ id })`) once, under
 * `components`.
 */
import { z } from 'zod';

export type JsonObject = Record<string, unknown>;

export interface JsonSchemas {
  /** What a client sends. */
  input(schema: z.ZodType): JsonObject;
  /** What the server answers. */
  output(schema: z.ZodType): JsonObject;
  /** The named schemas that came by so far. */
  components(): JsonObject;
}

const definitions = '#/$defs/';
const components = '#/components/schemas/';

export function createJsonSchemas(): JsonSchemas {
  const named = new Map<string, string>();

  const convert = (schema: z.ZodType, io: 'input' | 'output'): JsonObject => {
    const { $schema: _dialect, $defs = {}, ...root } = z.toJSONSchema(schema, { io, override });
    for (const [id, definition] of Object.entries($defs)) {
      const { id: _id, ...rest } = definition as JsonObject;
      const text = JSON.stringify(lifted(rest));
      const known = named.get(id);
      if (known !== undefined && known !== text) {
        throw new Error(`two schemas are called ${id}, or it is both sent and answered`);
      }
      named.set(id, text);
    }
    return lifted(root) as JsonObject;
  };

  return {
    input: (schema) => convert(schema, 'input'),
    output: (schema) => convert(schema, 'output'),
    components: () =>
      Object.fromEntries(
        [...named].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([id, text]) => [id, parse(text)]),
      ),
  };
}

const parse = (text: string): unknown => JSON.parse(text);

/** A format says what its pattern says, in one word. */
function override({ jsonSchema }: { jsonSchema: JsonObject }): void {
  if (jsonSchema['format'] !== undefined) delete jsonSchema['pattern'];
}

/** References lead to the components of the whole document. */
function lifted(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (key, inner: unknown) =>
    key === '$ref' && typeof inner === 'string' ? inner.replace(definitions, components) : inner,
  );
}
