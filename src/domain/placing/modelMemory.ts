/**
 * The latency models of machines that were seen, so that one that restarts is known; and those of
 * their kinds, which is what a new one begins as. Bounded: what was asked for longest ago goes.
 */
import type { AgentEntry } from '../directory.ts';
import { LatencyModel, type PredictorGauges } from '../prediction/latencyModel.ts';
import { maxKinds, maxMachines } from '../scheduler/limits.ts';

export class ModelMemory {
  private readonly kinds = new Map<string, LatencyModel>();
  private readonly machines = new Map<string, LatencyModel>();

  /** Of one model in one engine of an agent. */
  of(agent: AgentEntry, where: { instance: string; modelId: string }): LatencyModel {
    const { instance, modelId } = where;
    const kindKey = `${modelId}|${agent.effectiveTiers.join()}`;
    const kind = latest(this.kinds, {
      key: kindKey,
      most: maxKinds,
      make: () => new LatencyModel(null),
    });
    return latest(this.machines, {
      key: `${agent.id}|${instance}|${modelId}`,
      most: maxMachines,
      make: () => new LatencyModel(kind),
    });
  }

  /** Of all machines that predicted something, each as much as any other; null: none did. */
  gauges(): PredictorGauges | null {
    const all = [...this.machines.values()].flatMap((model) => model.gauges() ?? []);
    if (all.length === 0) return null;
    const mean = (of: (one: PredictorGauges) => number): number =>
      all.reduce((sum, one) => sum + of(one), 0) / all.length;
    return { mape: mean((one) => one.mape), p90Coverage: mean((one) => one.p90Coverage) };
  }
}

function latest<Value>(
  known: Map<string, Value>,
  how: { key: string; most: number; make: () => Value },
): Value {
  const { key, most, make } = how;
  const value = known.get(key) ?? make();
  known.delete(key);
  known.set(key, value);
  const [oldest] = known.keys();
  if (known.size > most && oldest !== undefined) known.delete(oldest);
  return value;
}
