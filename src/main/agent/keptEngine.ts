/**
 * Which engine an agent was given at its last start that joined, kept in the state directory
 * (0600): a restart without the flags attaches the same one, and installs none of its own.
 */
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { writeJsonDurably } from '../../agent/models/durableFile.ts';
import type { Random } from '../../lib/random.ts';
import { engineUrlProblem, type AgentConfig } from './agentConfig.ts';

export const keptEngineFile = 'engine.json';

const keptSchema = z.strictObject({
  engineUrl: z.string().refine((text) => engineUrlProblem(text) === undefined),
  engineKey: z.string().nullable(),
  serve: z.array(z.string()),
  slots: z.int().min(0),
});

type EngineFlags = Pick<AgentConfig, 'engine' | 'engineUrl' | 'engineKey' | 'serve' | 'slots'>;

/**
 * The configuration with the engine of the last start, where nothing is said of one now. What is
 * given beside stands before what was kept.
 */
export async function withKeptEngine<Config extends EngineFlags>(
  config: Config,
  stateDir: string,
): Promise<Config> {
  if (config.engine === 'embedded' || config.engineUrl !== undefined) return config;
  const kept = await readKept(path.join(stateDir, keptEngineFile));
  if (kept === undefined) return config;
  return {
    ...config,
    engineUrl: kept.engineUrl,
    engineKey: config.engineKey ?? kept.engineKey ?? undefined,
    serve: config.serve.length > 0 ? config.serve : kept.serve,
    slots: config.slots > 0 ? config.slots : kept.slots,
  };
}

/** Keeps what the agent runs with; one of its own is kept by forgetting. Rejects on a full disk. */
export async function keepEngine(
  { engineUrl, engineKey, serve, slots }: Pick<AgentConfig, keyof EngineFlags>,
  { stateDir, random }: { stateDir: string; random: Random },
): Promise<void> {
  const file = path.join(stateDir, keptEngineFile);
  if (engineUrl === undefined) return rm(file, { force: true });
  const flags = { engineUrl, engineKey: engineKey ?? null, serve: [...serve], slots };
  // What stands there already needs no room.
  if (JSON.stringify(await readKept(file)) === JSON.stringify(flags)) return;
  await writeJsonDurably(file, flags, random);
}

/** Undefined: there is none, or nothing that can be read; it is written again. */
async function readKept(file: string): Promise<z.infer<typeof keptSchema> | undefined> {
  try {
    return keptSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return undefined;
  }
}
