/**
 * The body of a request that is to be continued: the client's own, with the answer so far as an
 * open assistant's turn at its end, and with less room for the rest. Members that are not concerned
 * stay as they came, to the last digit.
 */
import { withMembers, type MemberChanges } from '../../lib/json/jsonMembers.ts';
import { promptLength, type PromptPart } from './promptTokens.ts';

export type ResumedBody =
  | { kind: 'body'; body: Buffer; stops: readonly string[]; prompt: Omit<PromptPart, 'sentTokens'> }
  /** All that the answer may have was delivered. */
  | { kind: 'spent' }
  /** There is no turn that could be left open. */
  | { kind: 'unfit' };

/**
 * Members by which engines hold an answer to a form. It would begin anew in the middle of the text;
 * with `echo` the engine says once more what the open turn holds.
 */
const binding = [
  'ebnf',
  'echo',
  'grammar',
  'guided_choice',
  'guided_grammar',
  'guided_json',
  'guided_regex',
  'json_schema',
  'regex',
  'structured_outputs',
];

/**
 * `sent`: what the open turn holds, which is so many tokens; `tokens`: what the answer has had of
 * its allowance. What is not in the turn is written once more, and needs its part of that.
 */
export function resumedBody(
  body: Buffer,
  answer: { sent: string; sentTokens: number; tokens: number },
): ResumedBody {
  const fields = JSON.parse(body.toString('utf8')) as Record<string, unknown>;
  const { sent, sentTokens, tokens } = answer;
  const changes: Record<string, string | undefined> = {};
  let allowed = Infinity;
  for (const name of ['max_tokens', 'max_completion_tokens']) {
    const value = fields[name];
    if (typeof value !== 'number') continue;
    // The second is the newer name, and counts where both are there.
    allowed = value;
    changes[name] = String(Math.max(1, value - sentTokens));
  }
  if (allowed <= tokens) return { kind: 'spent' };
  if (sent !== '' && binding.some((name) => Boolean(fields[name]))) return { kind: 'unfit' };
  const least = fields['min_tokens'];
  if (typeof least === 'number') changes['min_tokens'] = String(Math.max(0, least - sentTokens));
  const turn = sent === '' ? {} : openTurn(fields, sent);
  if (turn === undefined) return { kind: 'unfit' };
  const all: MemberChanges = { ...changes, ...turn };
  // A member that stands twice counts as a parser reads it.
  const once = (): Buffer => Buffer.from(JSON.stringify(fields));
  const spliced = withMembers(body, all) ?? withMembers(once(), all) ?? once();
  const prompt = promptLength(fields['messages'], sent);
  return { kind: 'body', body: spliced, stops: stopsOf(fields['stop']), prompt };
}

function openTurn(fields: Record<string, unknown>, sent: string): MemberChanges | undefined {
  const messages = fields['messages'];
  if (!Array.isArray(messages)) return undefined;
  const all = messages as Record<string, unknown>[];
  const last = all.at(-1);
  const isOpen = fields['continue_final_message'] === true && last?.['role'] === 'assistant';
  if (isOpen && typeof last?.['content'] !== 'string') return undefined;
  const turn = isOpen
    ? { ...last, content: `${String(last?.['content'])}${sent}` }
    : { role: 'assistant', content: sent };
  const earlier = isOpen ? all.slice(0, -1) : all;
  return {
    messages: JSON.stringify([...earlier, turn]),
    continue_final_message: 'true',
    add_generation_prompt: 'false',
  };
}

function stopsOf(stop: unknown): string[] {
  const all: unknown[] = Array.isArray(stop) ? stop : [stop];
  return all.filter((one) => typeof one === 'string' && one !== '') as string[];
}
