/**
 * The shell blocks of a guide, as one script: in the order in which a reader meets them and in one
 * shell, so that later ones may use what earlier ones have set.
 *
 * What stands behind `sh` in a block's first line says how it is run:
 * - nothing: as it stands, and every command has to succeed;
 * - `endless`: until it says something;
 * - `by-hand`: not at all, because it takes another machine, a person, or another moment.
 */
import { readFileSync } from 'node:fs';

export interface GuideBlock {
  /** Of its first line in the file, from 1. */
  line: number;
  /** Language and what stands behind it, e.g. `sh by-hand`. */
  info: string;
  text: string;
}

/** Every fenced block of a document, also in lists. */
export function guideBlocks(file: string): GuideBlock[] {
  const markdown = readFileSync(file, 'utf8');
  const fences = markdown.matchAll(/^( *)```(\S[^\n]*)\n([^]*?)^\1```$/gm);
  return [...fences].map((fence) => {
    const [, indent = '', info = '', text = ''] = fence;
    return {
      line: markdown.slice(0, fence.index).split('\n').length + 1,
      info: info.trim(),
      text: text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
    };
  });
}

/** The blocks that a test can run, for bash; it ends at the first command that fails. */
export function guideScript(blocks: readonly GuideBlock[]): string {
  const parts = blocks.flatMap(({ info, line, text }) => {
    const mark = `printf '### line %d\\n' ${line} >&2\n`;
    if (info === 'sh') return [mark + text];
    // What goes on is ended with the shell's process group.
    if (info === 'sh endless') return [`${mark}read -r -t 30 < <(exec 2> /dev/null\n${text})\n`];
    return [];
  });
  return `set -euo pipefail\n${parts.join('')}`;
}
