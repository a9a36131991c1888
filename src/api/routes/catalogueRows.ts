/** Endpoints, models, tiers, and the map of near regions. */
import { admin, member, owner } from './access.ts';
import { platform, project } from './prefixes.ts';
import type { RouteRow, Summaries } from './routeRow.ts';

const endpoints = `${project}/endpoints` as const;
const models = `${project}/models` as const;
const catalogue = `${platform}/models` as const;
const approvals = `${platform}/model-approvals` as const;

export const catalogueRows = [
  ['GET', endpoints, 'control', member, 'endpoints'],
  ['POST', endpoints, 'control', owner, 'createEndpoint'],
  ['GET', `${endpoints}/{endpoint}`, 'control', member, 'endpoint'],
  ['PATCH', `${endpoints}/{endpoint}`, 'control', owner, 'updateEndpoint'],
  ['DELETE', `${endpoints}/{endpoint}`, 'control', owner, 'deleteEndpoint'],
  ['GET', models, 'control', member, 'projectModels'],
  ['POST', models, 'control', owner, 'createModel'],
  ['GET', `${models}/{model}`, 'control', member, 'projectModel'],
  ['PATCH', `${models}/{model}`, 'control', owner, 'updateModel'],
  ['DELETE', `${models}/{model}`, 'control', owner, 'deleteModel'],
  ['GET', catalogue, 'control', admin, 'platformModels'],
  ['POST', catalogue, 'control', admin, 'createPlatformModel'],
  ['GET', `${catalogue}/{model}`, 'control', admin, 'platformModel'],
  ['PATCH', `${catalogue}/{model}`, 'control', admin, 'updatePlatformModel'],
  ['DELETE', `${catalogue}/{model}`, 'control', admin, 'deletePlatformModel'],
  ['GET', approvals, 'control', admin, 'modelApprovals'],
  ['POST', approvals, 'control', admin, 'approveModel'],
  ['DELETE', `${approvals}/{sha256}`, 'control', admin, 'withdrawModelApproval'],
  ['GET', '/api/v1/tiers', 'control', member, 'tiers'],
  ['PATCH', `${platform}/tiers/{tier}`, 'control', admin, 'updateTier'],
  ['GET', `${platform}/regions`, 'control', admin, 'regionMap'],
  ['PUT', `${platform}/regions`, 'control', admin, 'setRegionMap'],
] as const satisfies readonly RouteRow[];

export const catalogueSummaries: Summaries<typeof catalogueRows> = {
  endpoints: 'Endpoints of a project',
  createEndpoint: 'Create an endpoint',
  endpoint: 'One endpoint, by slug or id',
  updateEndpoint: 'Change an endpoint; the router follows within 100 ms',
  deleteEndpoint: 'Delete an endpoint; its usage records stay, keys pinned to it are revoked',
  projectModels: 'Models that a project’s endpoints may use: its own and the catalogue’s',
  createModel: 'Register a model of a project',
  projectModel: 'One model that the project may use',
  updateModel: 'Change a model of a project; with another source, agents fetch it anew',
  deleteModel: 'Delete a model of a project that no endpoint uses',
  platformModels: 'Models of the catalogue',
  createPlatformModel: 'Register a model of the catalogue',
  platformModel: 'One model of the catalogue',
  updatePlatformModel: 'Change a model of the catalogue; with another source, agents fetch it anew',
  deletePlatformModel: 'Delete a model of the catalogue that no endpoint uses',
  modelApprovals: 'Digests that shared agents may serve though a project owns the model',
  approveModel: 'Let shared agents serve models of this digest',
  withdrawModelApproval: 'Take an approval back',
  tiers: 'Service tiers: figures, what the operator says, and what was measured',
  updateTier: 'Say something of a tier, free-form',
  regionMap: 'Which regions are near one another',
  setRegionMap: 'Replace the map of near regions',
};
