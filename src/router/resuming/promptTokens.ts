/**
 * The prompt of an answer that was continued, in tokens: what its last engine counted, less what of
 * the answer it was sent. Those are tokens of the engines before, and another tokenizer may make
 * fewer of the same text: where nothing is left of the prompt, too much was taken off, and it is as
 * estimated. That is never more than was counted. As long as something is left, it is nearer: the
 * estimate is from the length of the body, which holds more than the prompt.
 *
 * `estimate`: of the prompt alone; 0: nothing is known.
 */
export function promptTokens(
  counted: number,
  { sentTokens, estimate }: { sentTokens: number; estimate: number },
): number {
  const prompt = counted - sentTokens;
  return prompt > 0 ? prompt : Math.min(counted, Math.max(1, estimate));
}
