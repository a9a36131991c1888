import type { OperatorStore } from '../contract/operatorStore.ts';
import {
  approveModel,
  modelApprovals,
  withdrawModelApproval,
} from '../catalogue/modelApprovals.ts';
import { regionMap, setRegionMap } from '../catalogue/regionMap.ts';
import { setTierFeatures, tierFeatures } from '../catalogue/tierFeatures.ts';
import { tierSlices } from '../usage/tierSlices.ts';
import type { MethodsOf } from './method.ts';

export const operatorMethods: MethodsOf<OperatorStore> = {
  modelApprovals: { access: 'read', run: modelApprovals },
  approveModel: { access: 'change', run: approveModel },
  withdrawModelApproval: { access: 'change', run: withdrawModelApproval },
  tierFeatures: { access: 'read', run: tierFeatures },
  setTierFeatures: { access: 'change', run: setTierFeatures },
  tierSlices: { access: 'read', run: tierSlices },
  regionMap: { access: 'read', run: regionMap },
  setRegionMap: { access: 'change', run: setRegionMap },
};
