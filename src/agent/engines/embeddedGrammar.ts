/**
 * `response_format` as a grammar (GBNF) that llama.cpp samples under: what comes out parses and
 * fits. A schema that says more than a grammar here can hold is refused by name instead of being
 * half kept.
 */
import { asList, asObject, FieldError } from '../../api/fields.ts';
import { maxGrammarRepetitions, maxGrammarRules } from '../limits.ts';

type Schema = Record<string, unknown>;

/** Words of a schema that change nothing about what is valid here. */
const remarks = new Set(
  (
    '$schema $id $comment $defs definitions title description ' +
    'default examples deprecated readOnly writeOnly'
  ).split(' '),
);

const common = [
  'ws ::= ( " " | "\\n" [ \\t]{0,20} )?',
  'char ::= [^"\\\\\\x7F\\x00-\\x1F] | "\\\\" ( ["\\\\bfnrt/] | "u" [0-9a-fA-F]{4} )',
  'string ::= "\\"" char* "\\""',
  'integer ::= "-"? ( "0" | [1-9] [0-9]{0,15} )',
  'number ::= integer ( "." [0-9]{1,16} )? ( [eE] [-+]? [0-9]{1,3} )?',
  'boolean ::= "true" | "false"',
  'null ::= "null"',
  'pair ::= string ":" ws value',
  'object ::= "{" ws ( pair ( "," ws pair )* ws )? "}"',
  'array ::= "[" ws ( value ( "," ws value )* ws )? "]"',
  'value ::= object | array | string | number | boolean | null',
];

/** Any JSON object. */
export function jsonObjectGrammar(): string {
  return ['root ::= object', ...common].join('\n');
}

/**
 * A JSON schema. Throws `FieldError` (`unsupported_value`, param below `param`) where it cannot be
 * kept. Supported: `type`, `properties`, `required`, `additionalProperties: false`, `items`,
 * `minItems`, `maxItems`, `minLength`, `maxLength`, `enum`, `const`, `anyOf`, `oneOf`, `$ref` to
 * `$defs` or `definitions`.
 */
export function jsonSchemaGrammar(schema: unknown, param: string): string {
  const root = asObject(schema, param);
  const writer = new GrammarWriter(root, param);
  const start = writer.rule(root, param);
  return [`root ::= ${start}`, ...common, ...writer.rules].join('\n');
}

interface Reference {
  name: string;
  /** Depth where it is being written; undefined once it is. */
  openAt: number | undefined;
}

interface BoundWords {
  at: string;
  min: string;
  max: string;
}

class GrammarWriter {
  readonly rules: string[] = [];
  private readonly root: Schema;
  private readonly param: string;
  private readonly references = new Map<string, Reference>();
  /** Brackets around what is written now. */
  private depth = 0;
  private repetitions = 0;

  constructor(root: Schema, param: string) {
    this.root = root;
    this.param = param;
  }

  /** Adds what a schema needs and returns the expression that stands for it. */
  rule(schema: Schema, at: string): string {
    if (schema['$ref'] !== undefined) return this.reference(schema, at);
    if (schema['const'] !== undefined) {
      this.expect(schema, at, ['const', 'type']);
      return literal(schema['const']);
    }
    if (schema['enum'] !== undefined) {
      this.expect(schema, at, ['enum', 'type']);
      const values = asList(schema['enum'], `${at}.enum`);
      if (values.length === 0) throw unsupported(`${at}.enum`, 'is empty');
      return this.add(values.map((value) => literal(value)).join(' | '));
    }
    for (const word of ['anyOf', 'oneOf']) {
      if (schema[word] !== undefined) return this.choice(schema, word, at);
    }
    return this.typed(schema, at);
  }

  private choice(schema: Schema, word: string, at: string): string {
    this.expect(schema, at, [word]);
    const options = asList(schema[word], `${at}.${word}`);
    const rules = options.map((option, index) => {
      const where = `${at}.${word}[${index}]`;
      return this.rule(asObject(option, where), where);
    });
    if (rules.length === 0) throw unsupported(`${at}.${word}`, 'is empty');
    return this.add(rules.join(' | '));
  }

  private typed(schema: Schema, at: string): string {
    const { type } = schema;
    if (Array.isArray(type)) {
      const rules = type.map((one) => this.typed({ ...schema, type: one }, at));
      return this.add(rules.join(' | '));
    }
    switch (type) {
      case 'object':
        return this.object(schema, at);
      case 'array':
        return this.array(schema, at);
      case 'string':
        return this.string(schema, at);
      case 'integer':
      case 'number':
      case 'boolean':
      case 'null':
        this.expect(schema, at, ['type']);
        return type;
      case undefined:
        if (schema['properties'] !== undefined) return this.object(schema, at);
        this.expect(schema, at, []);
        return 'value';
      default:
        throw unsupported(`${at}.type`, `is ${JSON.stringify(type)}`);
    }
  }

  private string(schema: Schema, at: string): string {
    this.expect(schema, at, ['type', 'minLength', 'maxLength']);
    const range = this.repeat(schema, { at, min: 'minLength', max: 'maxLength' });
    // A rule of its own: llama.cpp bounds what stands inside a repetition.
    return range === undefined ? 'string' : this.add(`"\\"" char${range} "\\""`);
  }

  private array(schema: Schema, at: string): string {
    this.expect(schema, at, ['type', 'items', 'minItems', 'maxItems']);
    const bounds = this.bounds(schema, { at, min: 'minItems', max: 'maxItems' });
    const { min = 0, max } = bounds;
    if (max === 0) return '"[" ws "]"';
    const item = this.inside(() => {
      const where = `${at}.items`;
      const items = schema['items'];
      return items === undefined ? 'value' : this.rule(asObject(items, where), where);
    });
    const next = this.add(`"," ws ${item}`);
    const more = `${next}{${Math.max(0, min - 1)},${max === undefined ? '' : max - 1}}`;
    const some = `${item} ${more} ws`;
    return this.add(`"[" ws ${min === 0 ? `( ${some} )?` : some} "]"`);
  }

  /** Properties in their own order; the optional ones may be left out. */
  private object(schema: Schema, at: string): string {
    this.expect(schema, at, ['type', 'properties', 'required', 'additionalProperties']);
    const properties = asObject(schema['properties'] ?? {}, `${at}.properties`);
    const names = Object.keys(properties);
    const open = schema['additionalProperties'] !== false;
    if (names.length === 0) return open ? 'object' : '"{" ws "}"';
    const required = new Set(asList(schema['required'] ?? [], `${at}.required`));
    for (const name of required) {
      if (!names.includes(name as string)) {
        throw unsupported(`${at}.required`, `names ${JSON.stringify(name)}, which has no schema`);
      }
    }
    const members = names.map((name) => {
      const where = `${at}.properties.${name}`;
      const value = this.inside(() => this.rule(asObject(properties[name], where), where));
      const pair = this.add(`${literal(name)} ":" ws ${value}`);
      return { pair, required: required.has(name) };
    });
    return this.add(`"{" ws ${this.members(members)} "}"`);
  }

  /** Everything from one member on: with a comma in front of each but the first that is there. */
  private members(members: readonly { pair: string; required: boolean }[]): string {
    let afterFirst = 'ws';
    let asFirst = 'ws';
    for (const { pair, required } of members.toReversed()) {
      const restAfter = afterFirst;
      const present = this.add(`${pair} ${restAfter}`);
      const nextFirst = asFirst;
      afterFirst = required
        ? this.add(`"," ws ${present}`)
        : this.add(`"," ws ${present} | ${restAfter}`);
      asFirst = required ? present : this.add(`${present} | ${nextFirst}`);
    }
    return asFirst;
  }

  private reference(schema: Schema, at: string): string {
    this.expect(schema, at, ['$ref']);
    const ref = schema['$ref'];
    if (ref === '#') return this.named('#', this.root, this.param);
    const found = /^#\/(\$defs|definitions)\/([^/]+)$/.exec(String(ref));
    const group = this.root[found?.[1] ?? ''];
    const name = found?.[2] ?? '';
    if (found === null || typeof group !== 'object' || group === null || !(name in group)) {
      throw unsupported(`${at}.$ref`, `is ${JSON.stringify(ref)}`);
    }
    const target = (group as Schema)[name];
    const where = `${this.param}.${found[1]}.${name}`;
    return this.named(String(ref), asObject(target, where), where);
  }

  /** A rule with a name of its own, so that a schema may refer to itself. */
  private named(ref: string, schema: Schema, at: string): string {
    const known = this.references.get(ref);
    if (known !== undefined) {
      // Around a bracket it may come back to itself; without one it would be nothing but itself.
      if (known.openAt === this.depth) throw unsupported(`${at}.$ref`, 'leads to itself');
      return known.name;
    }
    const reference: Reference = { name: `ref-${this.references.size}`, openAt: this.depth };
    this.references.set(ref, reference);
    const expression = this.rule(schema, at);
    reference.openAt = undefined;
    this.rules.push(`${reference.name} ::= ${expression}`);
    return reference.name;
  }

  /** What stands behind a bracket. */
  private inside<T>(write: () => T): T {
    this.depth += 1;
    try {
      return write();
    } finally {
      this.depth -= 1;
    }
  }

  private repeat(schema: Schema, words: BoundWords): string | undefined {
    const { min, max } = this.bounds(schema, words);
    if (min === undefined && max === undefined) return undefined;
    return `{${min ?? 0},${max ?? ''}}`;
  }

  private bounds(schema: Schema, words: BoundWords): { min?: number; max?: number } {
    const min = count(schema, words.min, words.at);
    const max = count(schema, words.max, words.at);
    if (max !== undefined && max < (min ?? 0)) {
      throw unsupported(`${words.at}.${words.max}`, `is below ${words.min}`);
    }
    this.repetitions += max ?? min ?? 0;
    if (this.repetitions > maxGrammarRepetitions) {
      const what = `repeats more than ${maxGrammarRepetitions} times in all`;
      throw unsupported(`${words.at}.${words.max}`, what);
    }
    return { ...(min !== undefined && { min }), ...(max !== undefined && { max }) };
  }

  private add(expression: string): string {
    if (this.rules.length >= maxGrammarRules) {
      throw unsupported(this.param, `needs more than ${maxGrammarRules} grammar rules`);
    }
    const name = `rule-${this.rules.length}`;
    this.rules.push(`${name} ::= ${expression}`);
    return name;
  }

  private expect(schema: Schema, at: string, words: readonly string[]): void {
    for (const word of Object.keys(schema)) {
      if (remarks.has(word) || words.includes(word)) continue;
      throw unsupported(`${at}.${word}`, 'is not kept by the embedded engine');
    }
  }
}

/** A JSON value as a literal of the grammar. */
function literal(value: unknown): string {
  const json = JSON.stringify(value);
  // JSON has already escaped every control character but this one.
  const escaped = json.replace(/["\\]/g, '\\$&').replaceAll('\x7f', '\\x7F');
  return `"${escaped}"`;
}

/** llama.cpp takes no more of one thing. */
const mostRepetitions = 1_000;

function count(schema: Schema, word: string, at: string): number | undefined {
  const value = schema[word];
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) {
    throw FieldError.type(value, { param: `${at}.${word}`, want: 'a non-negative integer' });
  }
  if (value > mostRepetitions) throw unsupported(`${at}.${word}`, `is above ${mostRepetitions}`);
  return value;
}

function unsupported(param: string, what: string): FieldError {
  return new FieldError('unsupported_value', { param, message: `'${param}' ${what}.` });
}
