/** The smallest value that a JSON schema takes, for calls whose bodies do not matter. */

type Schema = Record<string, unknown>;

export function minimalOf(schema: Schema, root: Schema = schema): unknown {
  const { $ref: reference } = schema as { $ref?: string };
  if (reference !== undefined) return minimalOf(at(root, reference), root);
  if ('const' in schema) return schema['const'];
  if ('default' in schema) return schema['default'];
  if (Array.isArray(schema['examples'])) return schema['examples'][0] as unknown;
  if (Array.isArray(schema['enum'])) return schema['enum'][0] as unknown;
  const choices = (schema['anyOf'] ?? schema['oneOf']) as Schema[] | undefined;
  if (choices?.[0] !== undefined) return minimalOf(choices[0], root);
  const [type] = [schema['type']].flat();
  switch (type) {
    case 'object':
      return minimalObject(schema, root);
    case 'array':
      return Array.from({ length: (schema['minItems'] as number | undefined) ?? 0 }, () =>
        minimalOf(schema['items'] as Schema, root),
      );
    case 'string':
      return minimalString(schema);
    case 'integer':
    case 'number':
      return Math.max(0, (schema['minimum'] as number | undefined) ?? 0);
    case 'boolean':
      return false;
    default:
      return null;
  }
}

function minimalObject(schema: Schema, root: Schema): Schema {
  const { properties = {}, required = [] } = schema as {
    properties?: Record<string, Schema>;
    required?: string[];
  };
  const entries = required.map((name) => [name, minimalOf(properties[name] ?? {}, root)] as const);
  return Object.fromEntries(entries);
}

const formats: Readonly<Record<string, string>> = {
  email: 'nobody@cast.example',
  uuid: '00000000-0000-4000-8000-000000000000',
  'date-time': '2026-01-01T00:00:00Z',
  uri: 'https://cast.example/',
};

function minimalString(schema: Schema): string {
  const { format, minLength = 1 } = schema as { format?: string; minLength?: number };
  return formats[format ?? ''] ?? 'x'.repeat(Math.max(1, minLength));
}

function at(root: Schema, reference: string): Schema {
  return reference
    .slice(2)
    .split('/')
    .reduce<Schema>((value, part) => value[part] as Schema, root);
}
