import type { CatalogueStore } from '../contract/catalogueStore.ts';
import { createEndpoint, deleteEndpoint, updateEndpoint } from '../catalogue/changeEndpoint.ts';
import { createModel, deleteModel, updateModel } from '../catalogue/changeModel.ts';
import { endpointByRef, endpointPage, endpointsOf } from '../catalogue/endpoints.ts';
import { modelById, modelPage, updateModelSource } from '../catalogue/models.ts';
import type { MethodsOf } from './method.ts';

export const catalogueMethods: MethodsOf<CatalogueStore> = {
  endpointsOf: { access: 'read', run: endpointsOf },
  endpointPage: { access: 'read', run: endpointPage },
  endpointByRef: { access: 'read', run: endpointByRef },
  createEndpoint: { access: 'change', run: createEndpoint },
  updateEndpoint: { access: 'change', run: updateEndpoint },
  deleteEndpoint: { access: 'change', run: deleteEndpoint },
  modelById: { access: 'read', run: modelById },
  modelPage: { access: 'read', run: modelPage },
  createModel: { access: 'change', run: createModel },
  updateModel: { access: 'change', run: updateModel },
  deleteModel: { access: 'change', run: deleteModel },
  updateModelSource: { access: 'write', run: updateModelSource },
};
