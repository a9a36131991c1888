/**
 * What `--model` means: a file of this machine, an address, a repository of the hub, or, with an
 * attached engine, the engine's own name for it.
 */
import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { defaultModel } from '../../agent/models/defaultModel.ts';
import type { ModelWish } from '../../control/platform/bootstrap.ts';
import { parseModelSource } from '../../lib/modelSource.ts';
import { StartupError } from '../process/startupError.ts';

const unknown = { sizeBytes: null, sha256: null, contextLength: null } as const;

/** The model of a first start without `--model`. */
export function defaultModelWish(): ModelWish {
  const { name, source, format, task, contextLength } = defaultModel;
  return { name, source, format, task, contextLength, sizeBytes: null, sha256: null };
}

/** Reads `--model`. Throws a `StartupError` that says what it may be. */
export function modelWishOf(text: string): ModelWish {
  const source = /^(hf|https|file):/.test(text) ? text : fileSourceOf(text);
  const parsed = parseModelSource(source);
  if (parsed.kind === 'invalid') throw new StartupError('usage', `--model: ${parsed.message}`);
  const last = parsed.kind === 'hub' ? (parsed.file ?? parsed.repo) : source;
  return { ...unknown, name: nameOf(last), source, format: 'gguf', task: 'generate' };
}

/** The catalogue's entry for a model that only an attached engine has. */
export function engineModelWish(engineModel: string): ModelWish {
  const name = engineModel.slice(0, 256);
  return { ...unknown, name, source: `engine:${name}`, format: 'gguf', task: 'generate' };
}

function fileSourceOf(text: string): string {
  const file = path.resolve(text);
  if (existsSync(file) && statSync(file).isFile()) return `file:${file}`;
  throw new StartupError(
    'usage',
    `--model: there is no file ${file}. ` +
      'Give a GGUF file, an https:// address or hf:OWNER/REPO:FILE.',
  );
}

/** `…/SmolLM2-135M-Instruct.Q4_1.gguf` → `SmolLM2-135M-Instruct.Q4_1`. */
function nameOf(source: string): string {
  const last = source.split(/[/\\]/).at(-1) ?? source;
  const plain = last.replace(/[?#].*$/, '').replace(/\.gguf$/i, '');
  return plain.slice(0, 256) || 'model';
}
