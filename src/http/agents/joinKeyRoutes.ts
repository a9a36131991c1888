/** Join keys of a project and of the platform: list, look, create, revoke. */
import type {
  CreatedJoinKeyAnswer,
  CreateJoinKeyRequest,
  JoinKeyAnswer,
  joinKeyContracts,
} from '../../api/control/joinKeys.ts';
import type { JoinCommand } from '../../api/joinCommand.ts';
import type { Control } from '../../control/control.ts';
import type { CreatedJoinKey, JoinKeyWish } from '../../control/enrolment/createJoinKey.ts';
import type { JoinKeyView } from '../../control/enrolment/joinKeyView.ts';
import { pageAnswer } from '../control/controlCall.ts';
import { isoTime } from '../control/isoTime.ts';
import { ofPlatform, ofProject, type OwnerOf } from '../control/ownerOf.ts';
import type { TopicHandlers } from '../control/topicHandlers.ts';

/** The lines to paste for a join key's text. */
export type BuildJoinCommand = (joinKey: string) => JoinCommand;

interface Options {
  control: Pick<Control, 'createJoinKey' | 'joinKeys' | 'joinKey' | 'revokeJoinKey'>;
  buildJoinCommand: BuildJoinCommand;
}

type Contracts = typeof joinKeyContracts;
type Name = 'joinKeys' | 'joinKey' | 'createJoinKey' | 'revokeJoinKey';

export function createJoinKeyRoutes(options: Options): TopicHandlers<Contracts> {
  const platform = routesOf(options, ofPlatform);
  return {
    ...routesOf(options, ofProject),
    platformJoinKeys: platform.joinKeys,
    platformJoinKey: platform.joinKey,
    createPlatformJoinKey: platform.createJoinKey,
    revokePlatformJoinKey: platform.revokeJoinKey,
  };
}

/** The routes for the owner that the address names. */
function routesOf(options: Options, ownerOf: OwnerOf): Pick<TopicHandlers<Contracts>, Name> {
  const { control } = options;
  return {
    async joinKeys(call) {
      const { caller, page } = call;
      const outcome = await control.joinKeys({ caller, owner: ownerOf(call), page });
      if (!outcome.ok) return call.refuse(outcome);
      return call.json(pageAnswer(outcome.joinKeys, joinKeyAnswer));
    },
    async joinKey(call) {
      const { caller } = call;
      const joinKeyId = call.part('key');
      const outcome = await control.joinKey({ caller, joinKeyId, owner: ownerOf(call) });
      return outcome.ok ? call.json(joinKeyAnswer(outcome.joinKey)) : call.refuse(outcome);
    },
    async createJoinKey(call) {
      const { caller, body } = call;
      if (body.storage_limit_enabled === true && (body.storage_limit_bytes ?? null) === null) {
        const message = "'storage_limit_bytes' is needed when 'storage_limit_enabled' is true.";
        return call.refuse({ reason: 'invalid_value', param: 'storage_limit_bytes', message });
      }
      const wish = joinKeyWish(body);
      const outcome = await control.createJoinKey({ caller, owner: ownerOf(call), wish });
      if (!outcome.ok) return call.refuse(outcome);
      return call.json(createdAnswer(outcome, options.buildJoinCommand(outcome.text)));
    },
    async revokeJoinKey(call) {
      const { caller } = call;
      const joinKeyId = call.part('key');
      const outcome = await control.revokeJoinKey({ caller, joinKeyId, owner: ownerOf(call) });
      return outcome.ok ? call.json({ id: joinKeyId, revoked: true }) : call.refuse(outcome);
    },
  };
}

function joinKeyWish(input: CreateJoinKeyRequest): JoinKeyWish {
  const limited = input.storage_limit_enabled !== false;
  return {
    name: input.name,
    region: input.region,
    supportedTiers: input.supported_tiers,
    storageLimitBytes: limited ? input.storage_limit_bytes : null,
    maxUses: input.max_uses,
    ttlMs: input.ttl_seconds === undefined ? undefined : input.ttl_seconds * 1000,
  };
}

function joinKeyAnswer(key: JoinKeyView): JoinKeyAnswer {
  return {
    id: key.id,
    name: key.name,
    region: key.region,
    supported_tiers: key.supportedTiers === null ? null : [...key.supportedTiers],
    storage_limit_enabled: key.storageLimitBytes !== null,
    storage_limit_bytes: key.storageLimitBytes,
    max_uses: key.maxUses,
    uses: key.uses,
    state: key.state,
    created_at: isoTime(key.createdAtMs),
    expires_at: isoTime(key.expiresAtMs),
  };
}

function createdAnswer(created: CreatedJoinKey, command: JoinCommand): CreatedJoinKeyAnswer {
  return {
    ...joinKeyAnswer(created.joinKey),
    key: created.text,
    join_command: command.shell,
    join_command_node: command.node,
    warnings: created.warnings,
  };
}
