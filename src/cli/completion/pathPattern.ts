/** A place as a pattern of `case`, alike in bash and zsh. */
import type { Place } from './completionTable.ts';

/** Operands may stand between a command's words and the cursor; a topic stands alone. */
export function pathPattern({ path, command }: Place): string {
  return command ? `'${path}'|'${path} '*` : `'${path}'`;
}
