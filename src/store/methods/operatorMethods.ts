import type { OperatorStore } from '../contract/operatorStore.ts';
import { approveModel, modelApprovals, withdrawModelApproval } from '../queries/modelApprovals.ts';
import { regionMap, setRegionMap } from '../queries/regionMap.ts';
import { setTierFeatures, tierFeatures } from '../queries/tierFeatures.ts';
import { tierSlices } from '../queries/tierSlices.ts';
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
