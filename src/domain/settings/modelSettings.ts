/** What an owner may change of a model, and what a change of its source takes with it. */
import type { ModelEntry } from '../directory.ts';

export type ModelSettings = Pick<
  ModelEntry,
  'name' | 'source' | 'format' | 'task' | 'sizeBytes' | 'sha256' | 'contextLength'
>;

/** What is left out stays as it is. */
export type ModelPatch = { [Name in keyof ModelSettings]?: ModelSettings[Name] | undefined };

/**
 * `current` with a patch laid over it. Size and digest are of the file that the source names: with
 * another source, those that are not given are not known any more.
 */
export function patchedModel(current: ModelSettings, patch: ModelPatch): ModelSettings {
  const { source = current.source } = patch;
  const ofFile = source === current.source ? current : { sizeBytes: null, sha256: null };
  const { sizeBytes = ofFile.sizeBytes, sha256 = ofFile.sha256 } = patch;
  const { contextLength = current.contextLength } = patch;
  return {
    name: patch.name ?? current.name,
    source,
    format: patch.format ?? current.format,
    task: patch.task ?? current.task,
    sizeBytes,
    sha256,
    contextLength,
  };
}
