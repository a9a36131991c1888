/**
 * The latency models of granted instances; those of machines that were seen, so that one that
 * restarts is known; and those of their kinds, which is what a new one begins as.
 *
 * Invariants
 * M1 Two instances that are granted at one time never have one model.
 * M2 A kind is of one owner: own machines of a project neither teach another's nor shared ones.
 * M3 A machine is remembered for what it has served, not for what its agent says that it could: of
 *    a model that taught nothing no trace is left. And an agent with more models than its share of
 *    the room has its own forgotten, not those of others.
 * M4 A kind is known exactly while a machine of it is granted or remembered, so that there are no
 *    more of them.
 */
import type { AgentEntry } from '../directory.ts';
import { LatencyModel, type PredictorGauges } from '../prediction/latencyModel.ts';
import { maxMachines, maxModelsOfAgent } from '../scheduler/limits.ts';

interface Kind {
  key: string;
  model: LatencyModel;
  machines: number;
}

/** One model in one engine of an agent. */
interface Machine {
  agentId: string;
  instance: string;
  kind: Kind;
  model: LatencyModel;
}

export class ModelMemory {
  private readonly kinds = new Map<string, Kind>();
  private readonly granted = new Map<LatencyModel, Machine>();
  /** By agent, of each in the order in which they went; the agent of the last one stands last. */
  private readonly away = new Map<string, Machine[]>();
  private machinesAway = 0;

  /** The model of an instance that is granted from now on, until it is `left`. */
  grant(agent: AgentEntry, where: { instance: string; modelId: string }): LatencyModel {
    const { instance } = where;
    const key = kindKey(agent, where.modelId);
    const machine = this.takeBack(agent.id, { instance, key }) ?? this.begin(agent.id, key);
    this.granted.set(machine.model, { ...machine, instance });
    return machine.model;
  }

  /** The instance that has it is not granted any more. */
  left(model: LatencyModel): void {
    const machine = this.granted.get(model);
    if (machine === undefined) return;
    this.granted.delete(model);
    if (model.samples > 0) this.remember(machine);
    else this.dropped(machine);
  }

  /** Over the latest predictions of all granted instances; null: there were none. */
  gauges(): PredictorGauges | null {
    let [judged, mape, p90Coverage] = [0, 0, 0];
    for (const model of this.granted.keys()) {
      const gauges = model.gauges();
      if (gauges === null) continue;
      judged += model.judged;
      mape += (gauges.mape - mape) * (model.judged / judged);
      p90Coverage += (gauges.p90Coverage - p90Coverage) * (model.judged / judged);
    }
    return judged === 0 ? null : { mape, p90Coverage };
  }

  private begin(agentId: string, key: string): Omit<Machine, 'instance'> {
    const kind = this.kinds.get(key) ?? { key, model: new LatencyModel(null), machines: 0 };
    this.kinds.set(key, kind);
    kind.machines += 1;
    return { agentId, kind, model: new LatencyModel(kind.model) };
  }

  /**
   * An engine has another name after each start, but not after a link was cut: where an agent has
   * several of a kind, each goes on as itself then. Else the one that went last is who comes.
   */
  private takeBack(agentId: string, is: { instance: string; key: string }): Machine | null {
    const own = this.away.get(agentId) ?? [];
    const alike = own.filter(({ kind }) => kind.key === is.key);
    const same = alike.findLast(({ instance }) => instance === is.instance);
    const machine = same ?? alike.at(-1);
    if (machine === undefined) return null;
    this.takeOut(machine, own);
    return machine;
  }

  private remember(machine: Machine): void {
    const own = this.away.get(machine.agentId) ?? [];
    this.away.delete(machine.agentId);
    this.away.set(machine.agentId, own);
    own.push(machine);
    this.machinesAway += 1;
    const isOver = own.length > maxModelsOfAgent || this.machinesAway > maxMachines;
    if (!isOver) return;
    const [longestAway = own] = this.away.values();
    const from = own.length > maxModelsOfAgent ? own : longestAway;
    const [oldest] = from;
    if (oldest === undefined) return;
    this.takeOut(oldest, from);
    this.dropped(oldest);
  }

  private takeOut(machine: Machine, own: Machine[]): void {
    own.splice(own.indexOf(machine), 1);
    if (own.length === 0) this.away.delete(machine.agentId);
    this.machinesAway -= 1;
  }

  private dropped({ kind }: Machine): void {
    kind.machines -= 1;
    if (kind.machines === 0) this.kinds.delete(kind.key);
  }
}

/** Neither the id of a project nor the slug of a tier has a bar in it; an agent names the model. */
const kindKey = ({ projectId, effectiveTiers }: AgentEntry, modelId: string): string =>
  `${projectId ?? ''}|${effectiveTiers.join()}|${modelId}`;
