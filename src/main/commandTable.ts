/** Every command of `xim` in a checkout, and those of them that are packed for other machines. */
import type { Command } from '../cli/command.ts';
import { serverCommands } from '../cli/commands.ts';
import { createCompletion } from '../cli/completion/completionCommands.ts';
import { agentCommand } from './agent/agentCommand.ts';
import { doctorCommand } from './doctorCommand.ts';
import { versionCommand } from './versionCommand.ts';

/** With what only a checkout has. */
export function commandTable(onlyHere: readonly Command[]): readonly Command[] {
  const commands: readonly Command[] = [
    ...onlyHere,
    agentCommand,
    ...serverCommands,
    doctorCommand,
    ...createCompletion(() => commands),
    versionCommand,
  ];
  return commands;
}
