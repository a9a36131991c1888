/**
 * The prompt of an answer that was continued, in tokens: what its last engine counted, less what of
 * the answer it was sent. Those are tokens of the engines before, and another tokenizer may make
 * fewer of the same text: too much is taken off then, at worst all of the prompt.
 *
 * An estimate from the length of the body is right within a factor of two; what lies below half of
 * it is another tokenizer's doing, and the estimate is nearer. It is never more than was counted.
 * `estimate`: of the prompt alone; 0: nothing is known.
 */
export function promptTokens(
  counted: number,
  { sentTokens, estimate }: { sentTokens: number; estimate: number },
): number {
  const prompt = Math.max(0, counted - sentTokens);
  return prompt * 2 >= estimate ? prompt : Math.min(counted, estimate);
}
