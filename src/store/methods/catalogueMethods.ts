import type { CatalogueStore } from '../contract/catalogueStore.ts';
import { endpointsOf } from '../queries/endpoints.ts';
import { modelById, updateModelSource } from '../queries/models.ts';
import type { MethodsOf } from './method.ts';

export const catalogueMethods: MethodsOf<CatalogueStore> = {
  endpointsOf: { access: 'read', run: endpointsOf },
  modelById: { access: 'read', run: modelById },
  updateModelSource: { access: 'write', run: updateModelSource },
};
