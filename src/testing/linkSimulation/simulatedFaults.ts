/** What breaks in the simulation, by name; each puts itself right after a while. */
import { randomInt, type Random } from '../../lib/random.ts';
import { endpoints, keys } from './simulatedSetting.ts';
import type { EngineMood } from './simulatedEngine.ts';
import type { LinkSimulation } from './linkSimulation.ts';
import { loseUnsafe } from './simulatedClient.ts';
import type { SimulatedMachine } from './simulatedMachine.ts';

export interface Fault {
  name: string;
  act: (world: LinkSimulation) => void;
}

type OnMachine = (machine: SimulatedMachine, world: LinkSimulation) => void;

const mood =
  (wanted: EngineMood, longestMs: number): OnMachine =>
  (machine, world) => {
    const { engine } = machine;
    if (engine === undefined) return;
    engine.mood = wanted;
    world.later(() => (engine.mood = 'well'), longestMs);
  };

/** Those of one machine. It is started again where it is down then, as its supervisor would. */
const machineFaults: Readonly<Record<string, OnMachine>> = {
  cut: (machine) => machine.pairs.at(-1)?.cut(),
  half_close_towards_router: (machine) => machine.pairs.at(-1)?.towardsRouter.swallow(),
  half_close_towards_agent: (machine) => machine.pairs.at(-1)?.towardsAgent.swallow(),
  delay: (machine, world) => {
    const towards = machine.pairs.at(-1)?.towardsRouter;
    if (towards === undefined) return;
    const before = towards.delayMs;
    towards.delayMs = () => 200 + world.any(1500);
    world.later(() => (towards.delayMs = before));
  },
  network_stall: (machine, world) => {
    const pair = machine.pairs.at(-1);
    const towards = world.chance(0.5) ? pair?.towardsAgent : pair?.towardsRouter;
    towards?.hold();
    world.later(() => towards?.release());
  },
  duplicate_link: (machine) => machine.doubleLink(),
  duplicate_process: (machine) => machine.start(),
  agent_killed: (machine) => machine.kill(),
  agent_drained: (machine) => machine.drain(),
  machine_sleeps: (machine, world) => machine.freeze(1000 + world.any(8000)),
  malformed_frame: (machine) => {
    machine.pairs.at(-1)?.agent.send(Buffer.from('no frame at all'));
  },
  engine_restart: (machine) => machine.engine?.lose(),
  hung_engine: mood('hung', 6000),
  burst_of_5xx: mood('failing', 3000),
  stalling_engine: mood('stalling', 4000),
  malformed_chunks: mood('malformed', 3000),
  suspended: (machine, world) => {
    const stopMode = world.chance(0.5) ? 'cut' : 'drain';
    world.commitAgent(machine, { state: 'suspended', stopMode });
    world.later(() => world.commitAgent(machine, {}), 8000);
  },
  fewer_slots: (machine, world) => {
    world.commitAgent(machine, { maxConcurrentRequests: 1 });
    world.later(() => world.commitAgent(machine, {}));
  },
};

/** Those of everybody. */
const worldFaults: Readonly<Record<string, (world: LinkSimulation) => void>> = {
  directory_late: (world) => {
    world.server.late = true;
    const machine = world.pick(world.machines);
    world.commitAgent(machine, { state: 'suspended', stopMode: 'cut' });
    world.later(() => world.commitAgent(machine, {}), 8000);
    world.later(() => (world.server.late = false), 8000);
  },
  store_away: (world) => {
    world.server.ports.storeAway = true;
    world.later(() => (world.server.ports.storeAway = false));
  },
  journal_full: (world) => {
    world.server.files.fault = 'ENOSPC';
    world.later(() => (world.server.files.fault = undefined));
  },
  journal_hangs: (world) => {
    const { server } = world;
    server.files.hold();
    server.diskHangs = true;
    world.later(() => {
      server.diskHangs = false;
      server.files.release();
    }, 3000);
  },
  key_revoked: (world) => {
    const entry = world.pick(Object.values(keys));
    const { id } = entry;
    world.server.ports.commit({ kind: 'api_key', id, entry: { ...entry, revoked: true } });
    world.later(() => world.server.ports.commit({ kind: 'api_key', id, entry }));
  },
  fallback_closed: (world) => {
    const entry = world.pick(Object.values(endpoints).filter(({ slug }) => slug !== 'shared'));
    const fallback = { enabled: false, afterMs: 0, tier: null };
    const { id } = entry;
    world.server.ports.commit({ kind: 'endpoint', id, entry: { ...entry, fallback } });
    world.later(() => world.server.ports.commit({ kind: 'endpoint', id, entry }));
  },
  budget_used_up: (world) => {
    const projectId = world.pick(['proj_a', 'proj_b']);
    const id = projectId;
    const { ports } = world.server;
    ports.budgetSums.set(id, 2_000_000);
    const entry = { id, projectId, apiKeyId: null, amountMicros: 1_000_000, hardStop: true };
    ports.commit({ kind: 'budget', id, entry });
    world.later(() => ports.commit({ kind: 'budget', id, entry: null }), 8000);
  },
  clock_set_back: (world) => world.clock.jumpWall(-world.any(20_000)),
  token_key_rotated: (world) => world.server.ports.rotateTokenKey(),
  router_restarted: (world) => {
    // It ends in virtual time; what goes wrong with it shows in the requests.
    void restart(world, 500 + world.any(2000));
  },
  router_killed: (world) => {
    if (world.server.router === undefined) return;
    world.crashServer();
    world.server.swollen = world.chance(0.5);
    world.server.ports.storeAway = world.server.swollen;
    const begin = (): void => {
      void world.server.start();
      world.later(() => {
        world.server.ports.storeAway = false;
        world.server.swollen = false;
      }, 3000);
    };
    world.clock.setTimer(200 + world.any(1500), begin);
  },
};

async function restart(world: LinkSimulation, drainMs: number): Promise<void> {
  if (world.server.router === undefined) return;
  await world.server.stop(drainMs);
  // The store would have been given what the disk has not.
  if (world.server.ports.storeAway) loseUnsafe(world.calls.values());
  world.note('router restarted');
  await world.server.start();
}

const names = [...Object.keys(machineFaults), ...Object.keys(worldFaults)];
export const faultNames: readonly string[] = names;

/** One of them, at random; those of machines find theirs when their time has come. */
export function drawFault(random: Random): Fault {
  const name = names[randomInt(random, names.length)] ?? '';
  const ofWorld = worldFaults[name];
  if (ofWorld !== undefined) return { name, act: ofWorld };
  const ofMachine = machineFaults[name];
  return {
    name,
    act: (world) => {
      const machine = world.pick(world.machines);
      ofMachine?.(machine, world);
      world.later(() => {
        if (!machine.isUp) machine.start();
      }, 4000);
    },
  };
}
