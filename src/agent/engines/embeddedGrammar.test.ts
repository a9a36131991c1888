import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FieldError } from '../../api/fields.ts';
import { jsonSchemaGrammar } from './embeddedGrammar.ts';

const param = 'schema';

/** The rules of a schema, without the common ones. */
function rules(schema: unknown): string[] {
  return jsonSchemaGrammar(schema, param)
    .split('\n')
    .filter((line) => /^(root|rule-|ref-)/.test(line));
}

function refusedParam(schema: unknown): string | null {
  try {
    jsonSchemaGrammar(schema, param);
  } catch (error) {
    assert.ok(error instanceof FieldError);
    return error.param;
  }
  return null;
}

test('a simple type gets another rule', () => {
  assert.deepEqual(rules({ type: 'string' }), ['root ::= string']);
  assert.deepEqual(rules({ type: 'string', maxLength: 3 }), [
    'root ::= rule-0',
    'rule-0 ::= "\\"" char{0,3} "\\""',
  ]);
  assert.deepEqual(rules({}), ['root ::= value']);
  assert.deepEqual(rules({ const: 'a"\\' }), ['root ::= "\\"a\\\\\\"\\\\\\\\\\""']);
});

test('an optional property is demanded, or a required one may be missing', () => {
  const schema = {
    type: 'object',
    properties: { a: { type: 'integer' }, b: { type: 'boolean' } },
    required: ['b'],
    additionalProperties: false,
  };
  assert.deepEqual(rules(schema), [
    'root ::= rule-7',
    'rule-0 ::= "\\"a\\"" ":" ws integer',
    'rule-1 ::= "\\"b\\"" ":" ws boolean',
    'rule-2 ::= rule-1 ws',
    'rule-3 ::= "," ws rule-2',
    'rule-4 ::= rule-0 rule-3',
    'rule-5 ::= "," ws rule-4 | rule-3',
    'rule-6 ::= rule-4 | rule-2',
    'rule-7 ::= "{" ws rule-6 "}"',
  ]);
});

test('a schema that refers to itself never ends', () => {
  const schema = {
    $ref: '#/$defs/node',
    $defs: {
      node: {
        type: 'object',
        properties: { next: { anyOf: [{ type: 'null' }, { $ref: '#/$defs/node' }] } },
        required: ['next'],
      },
    },
  };
  assert.ok(rules(schema).some((line) => line.startsWith('ref-0 ::= ')));
});

test('a word that the grammar does not keep is dropped in silence', () => {
  assert.equal(refusedParam({ type: 'string', pattern: 'a+' }), 'schema.pattern');
  assert.equal(refusedParam({ type: 'integer', minimum: 3 }), 'schema.minimum');
  assert.equal(refusedParam({ allOf: [{ type: 'string' }] }), 'schema.allOf');
  assert.equal(refusedParam({ type: 'date' }), 'schema.type');
  assert.equal(refusedParam({ $ref: 'https://example.org/x' }), 'schema.$ref');
  assert.equal(refusedParam({ $ref: '#/$defs/none' }), 'schema.$ref');
  assert.equal(refusedParam({ type: 'array', maxItems: 1, minItems: 2 }), 'schema.maxItems');
  assert.equal(refusedParam({ type: 'array', maxItems: 1_000_000 }), 'schema.maxItems');
  const itself = { $ref: '#/$defs/a', $defs: { a: { anyOf: [{ $ref: '#/$defs/a' }] } } };
  assert.equal(refusedParam(itself), 'schema.$defs.a.$ref');
  const long = { type: 'string', maxLength: 900 };
  const wordy = Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`p${at}`, long]));
  const param = refusedParam({ type: 'object', properties: wordy });
  assert.equal(param, 'schema.properties.p22.maxLength');
  assert.equal(
    refusedParam({ type: 'object', required: ['x'], properties: { y: {} } }),
    'schema.required',
  );
  assert.equal(refusedParam('text'), 'schema');
  const huge = Object.fromEntries(Array.from({ length: 400 }, (_, at) => [`p${at}`, {}]));
  assert.equal(refusedParam({ type: 'object', properties: huge }), 'schema');
});
