/** Legacy completions (`/v1/completions`): one shape for chunks and whole answers. */
import type { JsonObject } from '../engines/engine.ts';
import { arrayOf, objectOf, stringOf } from './jsonValue.ts';
import { wireFinishReason } from './wireChat.ts';

/** The choices of one streamed answer. */
export class CompletionChoices {
  /** By index; true once its reason was sent. */
  private readonly finished: boolean[] = [];

  /**
   * The choices of one engine chunk as JSON text, joined by commas; '' when nothing is to be
   * said.
   */
  chunk(event: JsonObject): string {
    return wireCompletionChoices(event, null)
      .filter((choice) => {
        const index = choice['index'] as number;
        if (this.finished[index] === true) return false;
        this.finished[index] = choice['finish_reason'] !== null;
        return true;
      })
      .map((choice) => JSON.stringify(choice))
      .join(',');
  }

  /** Whether the engine has begun any choice. */
  get any(): boolean {
    return this.finished.length > 0;
  }

  /** A reason for every choice that has none yet. */
  rest(): string {
    return [...this.finished]
      .map((finished, index) => ({ finished, index }))
      .filter(({ finished }) => finished === false)
      .map(({ index }) => {
        return JSON.stringify({ index, text: '', logprobs: null, finish_reason: 'stop' });
      })
      .join(',');
  }
}

/** `missingReason` stands where the engine gave no reason. */
export function wireCompletionChoices(
  event: JsonObject,
  missingReason: 'stop' | null,
): JsonObject[] {
  return arrayOf(event['choices']).flatMap((value) => {
    const choice = objectOf(value);
    if (choice === undefined) return [];
    const { index } = choice;
    return [
      {
        index: typeof index === 'number' && index >= 0 && index < 128 ? Math.floor(index) : 0,
        text: stringOf(choice['text']) ?? '',
        logprobs: objectOf(choice['logprobs']) ?? null,
        finish_reason: wireFinishReason(choice['finish_reason']) ?? missingReason,
      },
    ];
  });
}
