/** Join keys of a project and of the platform: list, create, revoke. */
import type { CreatedJoinKeyAnswer, JoinKeyAnswer } from '../../api/control/joinKeys.ts';
import { createJoinKeySchema } from '../../api/control/joinKeys.ts';
import type { JoinCommand } from '../../api/joinCommand.ts';
import type { Control } from '../../control/control.ts';
import type { CreatedJoinKey, JoinKeyWish } from '../../control/enrolment/createJoinKey.ts';
import type { JoinKeyView } from '../../control/enrolment/joinKeyView.ts';
import type { OwnerRef } from '../../control/principal.ts';
import { part, readInput, type ControlContext, type ControlHandler } from './controlContext.ts';
import { refuseFor } from './controlRefusals.ts';
import { isoTime } from './isoTime.ts';

/** The lines to paste for a join key's text. */
export type BuildJoinCommand = (joinKey: string) => JoinCommand;

interface Options {
  control: Pick<Control, 'createJoinKey' | 'joinKeys' | 'revokeJoinKey'>;
  buildJoinCommand: BuildJoinCommand;
}

type Name = 'list' | 'create' | 'revoke';

/** The three routes for the owner that the address names. */
export function createJoinKeyRoutes(
  options: Options,
  ownerOf: (context: ControlContext) => OwnerRef,
): Record<Name, ControlHandler> {
  const { control } = options;
  return {
    async list(context) {
      const { caller } = context.var;
      const outcome = await control.joinKeys({ caller, owner: ownerOf(context) });
      if (!outcome.ok) return refuseFor(context, outcome);
      return context.json({ data: outcome.joinKeys.map(joinKeyAnswer) });
    },
    async create(context) {
      const input = readInput(context, createJoinKeySchema);
      if (!input.ok) return input.response;
      const { storage_limit_enabled: limited, storage_limit_bytes: bytes = null } = input.value;
      if (limited === true && bytes === null) {
        const message = "'storage_limit_bytes' is needed when 'storage_limit_enabled' is true.";
        return refuseFor(context, {
          reason: 'invalid_value',
          param: 'storage_limit_bytes',
          message,
        });
      }
      const { caller } = context.var;
      const wish = joinKeyWish(input.value);
      const outcome = await control.createJoinKey({ caller, owner: ownerOf(context), wish });
      if (!outcome.ok) return refuseFor(context, outcome);
      const command = options.buildJoinCommand(outcome.text);
      return context.json(createdAnswer(outcome, command), 201);
    },
    async revoke(context) {
      const { caller } = context.var;
      const joinKeyId = part(context, 'key');
      const outcome = await control.revokeJoinKey({
        caller,
        joinKeyId,
        owner: ownerOf(context),
      });
      if (!outcome.ok) return refuseFor(context, outcome);
      return context.json({ id: joinKeyId, revoked: true });
    },
  };
}

type Wish = ReturnType<typeof createJoinKeySchema.parse>;

function joinKeyWish(input: Wish): JoinKeyWish {
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
