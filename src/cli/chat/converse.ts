/**
 * A conversation on a terminal. What was said before goes along with each question; an answer that
 * was cancelled or broke off counts with what had come, so that one can speak of it.
 */
import type { CommandContext, Dialogue } from '../command.ts';
import { exitCodes } from '../exitCodes.ts';
import { milliseconds } from '../textTable.ts';
import { answerEnding, answerFailure } from './answerText.ts';
import type { Asked, Asking, ChatMessage } from './askModel.ts';
import type { ChatTarget } from './chatTarget.ts';

const help = `  /new     forget what was said
  /exit    end the conversation (^D)
  /help    this
A line that ends in a backslash goes on in the next one. ^C cancels an answer.
`;

export interface Conversation {
  context: CommandContext;
  ask: Asking;
  target: ChatTarget;
  dialogue: Dialogue;
}

/** Returns the exit code. */
export async function converse(conversation: Conversation): Promise<number> {
  const { context, target, dialogue } = conversation;
  const { terminal } = context;
  terminal.note(`Talking to ${target.project}/${target.endpoint}. /help says more.\n`);
  const said: ChatMessage[] = [];
  try {
    for (;;) {
      const line = await nextQuestion(dialogue);
      if (line === 'ended' || line === '/exit') {
        if (line === 'ended') terminal.note('\n');
        return exitCodes.done;
      }
      if (line === 'interrupted') terminal.note('(^D or /exit ends the conversation)\n');
      else if (line === '/help') terminal.note(help);
      else if (line === '/new') {
        said.length = 0;
        terminal.note('Nothing was said yet.\n');
      } else if (line.startsWith('/')) terminal.note(`${line} is none of these:\n${help}`);
      else if (line.trim() !== '') await answered(conversation, said, line);
    }
  } finally {
    dialogue.close();
  }
}

/** Lines that are joined by backslashes are one. */
async function nextQuestion(dialogue: Dialogue): Promise<string> {
  let whole = '';
  for (;;) {
    const read = await dialogue.next(whole === '' ? '> ' : '… ');
    if (read.kind !== 'line') return read.kind;
    if (!read.text.endsWith('\\')) return whole + read.text;
    whole += `${read.text.slice(0, -1)}\n`;
  }
}

async function answered(
  { context, ask, dialogue }: Conversation,
  said: ChatMessage[],
  question: string,
): Promise<void> {
  const { terminal, clock } = context;
  const startedAtMs = clock.monotonic();
  let firstMs: number | null = null;
  said.push({ role: 'user', content: question });
  const interruption = dialogue.interruption();
  const asked = await ask(said, {
    signal: interruption.signal,
    onText(text) {
      firstMs ??= clock.monotonic() - startedAtMs;
      terminal.out(text);
    },
  });
  interruption.done();
  const text = 'text' in asked ? asked.text : '';
  if (text !== '' && !text.endsWith('\n')) terminal.out('\n');
  if (text === '') said.pop();
  else said.push({ role: 'assistant', content: text });
  if (asked.kind !== 'answered') return terminal.note(`${answerFailure(asked).message}\n`);
  const spentMs = clock.monotonic() - startedAtMs;
  terminal.note(answerEnding(asked) ?? '');
  terminal.note(`(${factsOf(asked, { firstMs, spentMs })})\n`);
}

function factsOf(
  { agent, usage }: Extract<Asked, { kind: 'answered' }>,
  { firstMs, spentMs }: { firstMs: number | null; spentMs: number },
): string {
  const tokens = usage?.completion_tokens ?? 0;
  const writingMs = spentMs - (firstMs ?? 0);
  const facts = [
    ...(agent === null ? [] : [agent]),
    ...(usage === null ? [] : [`${usage.prompt_tokens} → ${tokens} tokens`]),
    ...(firstMs === null ? [] : [`first after ${milliseconds(firstMs) ?? ''}`]),
    ...(tokens > 1 && writingMs > 0 ? [`${((1000 * (tokens - 1)) / writingMs).toFixed(1)}/s`] : []),
  ];
  return facts.join(', ');
}
