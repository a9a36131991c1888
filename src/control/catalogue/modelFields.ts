/** What a caller says of a model, field by field. */
import type { ModelEntry } from '../../domain/directory.ts';
import type { ModelPatch } from '../../domain/settings/modelSettings.ts';
import { parseModelSource } from '../../lib/modelSource.ts';
import { isPublicAddress, literalAddress } from '../../lib/network/publicAddress.ts';
import {
  largestModelBytes,
  longestContext,
  longestModelName,
  longestModelSource,
} from '../limits.ts';
import { invalidField, shown, type InvalidField } from '../invalidField.ts';

/** What is left out stays as it is, or takes its default. */
export type ModelWish = ModelPatch;

export type ReadModelWish = { ok: true; patch: ModelPatch } | InvalidField;

/** Each field that is there; what they mean together is not looked at. */
export function readModelWish(wish: ModelWish): ReadModelWish {
  const { sizeBytes, contextLength } = wish;
  const problem =
    numberProblem('size_bytes', sizeBytes, largestModelBytes) ??
    numberProblem('context_length', contextLength, longestContext);
  if (problem !== undefined) return problem;
  const name = wish.name?.trim();
  if (name !== undefined && !isName(name)) {
    const rule = `1 to ${longestModelName} characters on one line`;
    return invalidField('name', `name has ${name.length} characters; it must have ${rule}.`);
  }
  const sha256 = wish.sha256?.toLowerCase() ?? wish.sha256;
  if (typeof sha256 === 'string' && !/^[0-9a-f]{64}$/.test(sha256)) {
    return invalidField('sha256', `sha256 is ${shown(sha256)}; it must be 64 hex digits.`);
  }
  if (wish.source === undefined) return { ok: true, patch: { ...wish, name, sha256 } };
  const source = readModelSource(wish.source);
  return source.ok ? { ok: true, patch: { ...wish, name, sha256, source: source.source } } : source;
}

function isName(name: string): boolean {
  return name !== '' && name.length <= longestModelName && !/\p{Cc}/u.test(name);
}

function numberProblem(
  param: 'size_bytes' | 'context_length',
  value: number | null | undefined,
  most: number,
): InvalidField | undefined {
  if (value === null || value === undefined) return undefined;
  if (Number.isInteger(value) && value >= 1 && value <= most) return undefined;
  return invalidField(param, `${param} is ${value}; it must be a whole number from 1 to ${most}.`);
}

/**
 * A source in its one spelling. An agent checks again where names lead to, when it connects; here
 * an address that is written out is refused at once.
 */
export function readModelSource(text: string): { ok: true; source: string } | InvalidField {
  const source = text.trim();
  if (source.length > longestModelSource) {
    const rule = `it may have ${longestModelSource}`;
    return invalidField('source', `source has ${source.length} characters; ${rule}.`);
  }
  const parsed = parseModelSource(source);
  switch (parsed.kind) {
    case 'invalid':
      return invalidField('source', parsed.message);
    case 'hub':
      return { ok: true, source };
    case 'file':
      return { ok: true, source: `file:${parsed.path}` };
    case 'url': {
      const { hostname, href } = parsed.url;
      if (isOfThisNetwork(hostname)) {
        const rule = 'agents fetch from public addresses only';
        return invalidField('source', `source leads to ${shown(hostname)}; ${rule}.`);
      }
      return { ok: true, source: href };
    }
  }
}

function isOfThisNetwork(hostname: string): boolean {
  const address = literalAddress(hostname);
  if (address !== undefined) return !isPublicAddress(address);
  const name = hostname.replace(/\.$/, '').toLowerCase();
  return name === 'localhost' || name.endsWith('.localhost');
}

/** What the source's name ends in; undefined where that says nothing. */
export function formatOf(source: string): ModelEntry['format'] | undefined {
  const parsed = parseModelSource(source);
  const name =
    parsed.kind === 'hub'
      ? (parsed.file ?? '')
      : parsed.kind === 'url'
        ? parsed.url.pathname
        : parsed.kind === 'file'
          ? parsed.path
          : '';
  if (/\.gguf$/i.test(name)) return 'gguf';
  return /\.safetensors$/i.test(name) ? 'safetensors' : undefined;
}
