/**
 * What is foreseen of a machine before it has answered anybody: by one short answer that its agent
 * timed, and by the class of its hardware.
 */
import type { AgentEntry } from '../directory.ts';
import type { Prior } from './latencyModel.ts';

/**
 * A token of a prompt takes so much less than one of an answer: a prompt is computed at once, which
 * is worth more the more units there are to do it. An A100 that serves 8 billion parameters: 145.
 */
const promptTokensPerToken = { gpu: 100, cpu: 8 };

export function priorOf(
  { effectiveTiers }: Pick<AgentEntry, 'effectiveTiers'>,
  { firstByteMs, perTokenMs }: { firstByteMs: number; perTokenMs: number },
): Prior {
  const isGpu = effectiveTiers.some((tier) => tier.startsWith('gpu_'));
  const promptTokenMs = perTokenMs / promptTokensPerToken[isGpu ? 'gpu' : 'cpu'];
  return { firstByteMs, promptTokenMs, tokenMs: perTokenMs };
}
