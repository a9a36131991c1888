/** Models of a project and of the catalogue, and the digests that shared agents may serve. */
import type {
  modelContracts,
  ModelAnswer,
  ModelApprovalAnswer,
  UpdateModelRequest,
} from '../../api/control/models.ts';
import type { ModelApprovalView } from '../../control/catalogue/modelApprovals.ts';
import type { ModelWish } from '../../control/catalogue/modelFields.ts';
import type { ModelView } from '../../control/catalogue/modelView.ts';
import type { Control } from '../../control/control.ts';
import { pageAnswer } from '../control/controlCall.ts';
import { isoTime } from '../control/isoTime.ts';
import { ofPlatform, ofProject, type OwnerOf } from '../control/ownerOf.ts';
import type { TopicHandlers } from '../control/topicHandlers.ts';

type Contracts = typeof modelContracts;
type Changes = 'createModel' | 'updateModel' | 'deleteModel';

interface Options {
  control: Pick<
    Control,
    'models' | 'model' | Changes | 'modelApprovals' | 'approveModel' | 'withdrawModelApproval'
  >;
}

export function createModelRoutes(options: Options): TopicHandlers<Contracts> {
  const { control } = options;
  const platform = routesOf(options, ofPlatform);
  return {
    ...routesOf(options, ofProject),
    async projectModels(call) {
      const { caller, page, query } = call;
      const { ownership } = query;
      const outcome = await control.models({ caller, owner: ofProject(call), page, ownership });
      if (!outcome.ok) return call.refuse(outcome);
      return call.json(pageAnswer(outcome.models, modelAnswer));
    },
    async platformModels(call) {
      const { caller, page } = call;
      const outcome = await control.models({ caller, owner: ofPlatform(call), page });
      if (!outcome.ok) return call.refuse(outcome);
      return call.json(pageAnswer(outcome.models, modelAnswer));
    },
    platformModel: platform.projectModel,
    createPlatformModel: platform.createModel,
    updatePlatformModel: platform.updateModel,
    deletePlatformModel: platform.deleteModel,
    async modelApprovals(call) {
      const { caller, page } = call;
      const outcome = await control.modelApprovals({ caller, page });
      if (!outcome.ok) return call.refuse(outcome);
      return call.json(pageAnswer(outcome.approvals, approvalAnswer));
    },
    async approveModel(call) {
      const { caller, body } = call;
      const { sha256, note = '' } = body;
      const outcome = await control.approveModel({ caller, sha256, note });
      return outcome.ok ? call.json(approvalAnswer(outcome.approval)) : call.refuse(outcome);
    },
    async withdrawModelApproval(call) {
      const sha256 = call.part('sha256');
      const outcome = await control.withdrawModelApproval({ caller: call.caller, sha256 });
      return outcome.ok ? call.json({ sha256, withdrawn: true }) : call.refuse(outcome);
    },
  };
}

/** What is alike for both owners. */
function routesOf(
  { control }: Options,
  ownerOf: OwnerOf,
): Pick<TopicHandlers<Contracts>, 'projectModel' | Changes> {
  return {
    async projectModel(call) {
      const { caller } = call;
      const about = { caller, owner: ownerOf(call), modelId: call.part('model') };
      const outcome = await control.model(about);
      return outcome.ok ? call.json(modelAnswer(outcome.model)) : call.refuse(outcome);
    },
    async createModel(call) {
      const { caller, body } = call;
      const { name, source } = body;
      const wish = { ...modelWish(body), name, source };
      const outcome = await control.createModel({ caller, owner: ownerOf(call), wish });
      return outcome.ok ? call.json(modelAnswer(outcome.model)) : call.refuse(outcome);
    },
    async updateModel(call) {
      const { caller, body, expectedVersion } = call;
      const about = { caller, owner: ownerOf(call), modelId: call.part('model') };
      const wish = modelWish(body);
      const outcome = await control.updateModel({ ...about, wish, expectedVersion });
      return outcome.ok ? call.json(modelAnswer(outcome.model)) : call.refuse(outcome);
    },
    async deleteModel(call) {
      const modelId = call.part('model');
      const outcome = await control.deleteModel({
        caller: call.caller,
        owner: ownerOf(call),
        modelId,
      });
      return outcome.ok ? call.json({ id: modelId, deleted: true }) : call.refuse(outcome);
    },
  };
}

function modelWish(body: UpdateModelRequest): ModelWish {
  return {
    name: body.name,
    source: body.source,
    format: body.format,
    task: body.task,
    sizeBytes: body.size_bytes,
    sha256: body.sha256,
    contextLength: body.context_length,
  };
}

function modelAnswer(model: ModelView): ModelAnswer {
  return {
    id: model.id,
    name: model.name,
    ownership: model.projectId === null ? 'catalogue' : 'project',
    source: model.source,
    format: model.format,
    task: model.task,
    size_bytes: model.sizeBytes,
    sha256: model.sha256,
    context_length: model.contextLength,
    open_to_shared: model.openToShared,
    created_at: isoTime(model.createdAtMs),
    updated_at: isoTime(model.updatedAtMs),
    version: model.version,
  };
}

function approvalAnswer(approval: ModelApprovalView): ModelApprovalAnswer {
  const { sha256, note, approvedBy, createdAtMs } = approval;
  return { sha256, note, approved_by: approvedBy, created_at: isoTime(createdAtMs) };
}
