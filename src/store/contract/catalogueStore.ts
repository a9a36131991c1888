/** Endpoints and models. */
import type { EndpointEntry, ModelEntry } from '../../domain/directory.ts';

export interface CatalogueStore {
  endpointsOf(projectId: string): Promise<EndpointEntry[]>;
  modelById(id: string): Promise<ModelEntry | null>;
  /** Points a catalogue model at another source (a first start with another `--model`). */
  updateModelSource(input: {
    id: string;
    name: string;
    source: string;
    sha256: string | null;
    sizeBytes: number | null;
    contextLength: number | null;
  }): Promise<void>;
}
