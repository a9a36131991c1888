/**
 * Where a model comes from, as the catalogue writes it: `hf:<repo>[:<file>]`, `https:…`, `file:…`.
 */
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export type ModelSource =
  | { kind: 'hub'; repo: string; file: string | undefined }
  | { kind: 'url'; url: URL }
  | { kind: 'file'; path: string }
  /** A plain sentence. */
  | { kind: 'invalid'; message: string };

/** `owner/name`, as the hub writes it. */
const repoPattern = /^[\w.-]{1,96}\/[\w.-]{1,96}$/;

/** What an agent's link carries, in characters. */
const longestSource = 2048;

/** Reads a source. Never throws. */
export function parseModelSource(source: string): ModelSource {
  if (source.length > longestSource) {
    return invalid(`A model source has at most ${longestSource} characters.`);
  }
  if (/\p{Cc}/u.test(source)) return invalid('A model source stands on one line.');
  if (source.startsWith('hf:')) return parseHub(source.slice('hf:'.length));
  if (source.startsWith('https:')) return parseUrl(source);
  if (source.startsWith('file:')) return parseFile(source);
  if (source.startsWith('engine:')) {
    const name = source.slice('engine:'.length);
    const how = 'Give its address again with --engine-url URL, or a GGUF file with --model FILE.';
    return invalid(`The model "${name}" is one of an engine that was attached. ${how}`);
  }
  return invalid(`The model source "${source}" begins with none of hf:, https: and file:.`);
}

function parseHub(rest: string): ModelSource {
  const colon = rest.indexOf(':');
  const repo = colon < 0 ? rest : rest.slice(0, colon);
  const file = colon < 0 ? undefined : rest.slice(colon + 1);
  if (!repoPattern.test(repo) || repo.includes('..')) {
    return invalid(`"${repo}" is no repository of the hub: it is written owner/name.`);
  }
  if (file !== undefined && !isRelativeFile(file)) {
    return invalid(`"${file}" is no file name inside a repository.`);
  }
  return { kind: 'hub', repo, file };
}

function parseUrl(source: string): ModelSource {
  const url = URL.canParse(source) ? new URL(source) : undefined;
  if (url === undefined || url.hostname === '') return invalid(`"${source}" is no URL.`);
  if (url.username !== '' || url.password !== '') {
    return invalid('A model URL must not carry a user name or a password.');
  }
  return { kind: 'url', url };
}

function parseFile(source: string): ModelSource {
  const rest = source.slice('file:'.length);
  if (rest.startsWith('//')) {
    const url = URL.canParse(source) ? new URL(source) : undefined;
    if (url === undefined || url.hostname !== '') return invalid(`"${source}" is no local file.`);
    // An escaped slash is no part of any file's name.
    if (/%(2f|5c|00)/i.test(url.pathname)) return invalid(`"${source}" is no local file.`);
    return { kind: 'file', path: fileURLToPath(url) };
  }
  if (!path.isAbsolute(rest)) return invalid(`"${rest}" is not an absolute path.`);
  return { kind: 'file', path: path.normalize(rest) };
}

function isRelativeFile(file: string): boolean {
  const parts = file.split('/');
  return file.length <= 512 && parts.every((part) => /^[^\\\0]+$/.test(part) && part !== '..');
}

function invalid(message: string): ModelSource {
  return { kind: 'invalid', message };
}
