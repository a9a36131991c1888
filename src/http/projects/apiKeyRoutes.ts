/** API keys of a project: list, look, create, change, rotate, revoke. */
import type {
  ApiKeyAnswer,
  apiKeyContracts,
  UpdateApiKeyRequest,
} from '../../api/control/apiKeys.ts';
import type { ApiKeyWish } from '../../control/apiKeys/apiKeyFields.ts';
import type { ApiKeyView } from '../../control/apiKeys/apiKeyView.ts';
import type { Control } from '../../control/control.ts';
import { pageAnswer, type ControlCall } from '../control/controlCall.ts';
import { isoTime, isoTimeOrNull } from '../control/isoTime.ts';
import type { TopicHandlers } from '../control/topicHandlers.ts';

export function createApiKeyRoutes(
  control: Pick<
    Control,
    'apiKeys' | 'apiKey' | 'createApiKey' | 'updateApiKey' | 'rotateApiKey' | 'revokeApiKey'
  >,
): TopicHandlers<typeof apiKeyContracts> {
  const about = ({ caller, part }: Pick<ControlCall, 'caller' | 'part'>) => ({
    caller,
    project: part('project'),
    apiKeyId: part('key'),
  });
  return {
    async apiKeys(call) {
      const { caller, page } = call;
      const outcome = await control.apiKeys({ caller, project: call.part('project'), page });
      return outcome.ok ? call.json(pageAnswer(outcome.page, apiKeyAnswer)) : call.refuse(outcome);
    },
    async apiKey(call) {
      const outcome = await control.apiKey(about(call));
      return outcome.ok ? call.json(apiKeyAnswer(outcome.key)) : call.refuse(outcome);
    },
    async createApiKey(call) {
      const { name, scopes, ...limits } = call.body;
      const wish = apiKeyWish(limits);
      const of = { caller: call.caller, project: call.part('project') };
      const outcome = await control.createApiKey({ ...of, name, scopes, wish });
      if (!outcome.ok) return call.refuse(outcome);
      return call.json({ ...apiKeyAnswer(outcome.key), key: outcome.text });
    },
    async updateApiKey(call) {
      const { body, expectedVersion } = call;
      const wish = { ...apiKeyWish(body), name: body.name };
      const outcome = await control.updateApiKey({ ...about(call), expectedVersion, wish });
      return outcome.ok ? call.json(apiKeyAnswer(outcome.key)) : call.refuse(outcome);
    },
    async rotateApiKey(call) {
      const { expectedVersion } = call;
      const { grace_seconds: seconds } = call.body;
      const graceMs = seconds === undefined ? undefined : seconds * 1000;
      const outcome = await control.rotateApiKey({ ...about(call), expectedVersion, graceMs });
      if (!outcome.ok) return call.refuse(outcome);
      return call.json({ ...apiKeyAnswer(outcome.key), key: outcome.text });
    },
    async revokeApiKey(call) {
      const outcome = await control.revokeApiKey(about(call));
      return outcome.ok ? call.json({ id: call.part('key'), revoked: true }) : call.refuse(outcome);
    },
  };
}

type Limits = Omit<UpdateApiKeyRequest, 'name'>;

function apiKeyWish({ endpoint, expires_at, ip_allow_list, quota }: Limits): ApiKeyWish {
  return {
    endpoint,
    expiresAtMs: typeof expires_at === 'string' ? Date.parse(expires_at) : expires_at,
    ipAllowList: ip_allow_list,
    quota: quota && {
      requestsPerMinute: quota.requests_per_minute ?? null,
      tokensPerMinute: quota.tokens_per_minute ?? null,
      tokensPerDay: quota.tokens_per_day ?? null,
    },
  };
}

function apiKeyAnswer(key: ApiKeyView): ApiKeyAnswer {
  const { quota } = key;
  return {
    id: key.id,
    name: key.name,
    masked: key.shown,
    scopes: [...key.scopes],
    endpoint_id: key.endpointId,
    expires_at: isoTimeOrNull(key.expiresAtMs),
    ip_allow_list: [...key.ipAllowList],
    quota: quota && {
      requests_per_minute: quota.requestsPerMinute,
      tokens_per_minute: quota.tokensPerMinute,
      tokens_per_day: quota.tokensPerDay,
    },
    state: key.state,
    created_at: isoTime(key.createdAtMs),
    created_by: key.createdBy,
    rotated_at: isoTimeOrNull(key.rotatedAtMs),
    previous_valid_until: isoTimeOrNull(key.previousUntilMs),
    revoked_at: isoTimeOrNull(key.revokedAtMs),
    last_used_at: isoTimeOrNull(key.lastUsedAtMs),
    version: key.version,
  };
}
