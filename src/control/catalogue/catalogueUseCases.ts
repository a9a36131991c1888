/** Endpoints, models, approvals of digests, and the map of near regions. */
import { createEndpoint, deleteEndpoint, updateEndpoint } from './changeEndpoint.ts';
import { createModel, deleteModel, updateModel } from './changeModel.ts';
import { endpointOf, listEndpoints } from './endpoints.ts';
import { approveModel, listModelApprovals, withdrawModelApproval } from './modelApprovals.ts';
import { listModels, modelOf } from './models.ts';
import { regionMapOf, setRegionMap } from './regionMap.ts';

export const catalogueUseCases = {
  endpoints: listEndpoints,
  endpoint: endpointOf,
  createEndpoint,
  updateEndpoint,
  deleteEndpoint,
  models: listModels,
  model: modelOf,
  createModel,
  updateModel,
  deleteModel,
  modelApprovals: listModelApprovals,
  approveModel,
  withdrawModelApproval,
  regionMap: regionMapOf,
  setRegionMap,
};
