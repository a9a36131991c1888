/** What the receipts of one segment name by number: each of it is written once. */
import type { OutsiderFacts } from '../../domain/explaining/outsiders.ts';
import type { AgentEntry } from '../../domain/directory.ts';
import type { ReceiptAgent, ReceiptMisses } from './receipt.ts';

/** As it is written, behind the receipts. */
export interface NamesRecord {
  texts: string[];
  agents: ReceiptAgent[];
  /** Misses, agents by number. */
  outsiders: { counts: ReceiptMisses['counts']; nearest: [number, string][]; ready: number }[];
}

export class SegmentNames {
  readonly record: NamesRecord = { texts: [], agents: [], outsiders: [] };
  private readonly texts = new Map<string, number>();
  /** By entry, which is another one whenever anything of it has changed; and by what is written. */
  private readonly agents = new Map<AgentEntry | string, number>();
  private readonly outsiders = new Map<OutsiderFacts, number>();

  text(value: string): number {
    const known = this.texts.get(value);
    if (known !== undefined) return known;
    this.texts.set(value, this.texts.size);
    return this.record.texts.push(value) - 1;
  }

  agent(entry: AgentEntry): number {
    const known = this.agents.get(entry);
    if (known !== undefined) return known;
    const { id, name, region, projectId } = entry;
    const written = JSON.stringify([id, name, region, projectId]);
    const same = this.agents.get(written);
    const number = same ?? this.record.agents.push({ id, name, region, projectId }) - 1;
    this.agents.set(entry, number);
    this.agents.set(written, number);
    return number;
  }

  outsider(facts: OutsiderFacts): number {
    const known = this.outsiders.get(facts);
    if (known !== undefined) return known;
    this.outsiders.set(facts, this.outsiders.size);
    const nearest = facts.nearest.map(({ agent, reason }): [number, string] => [
      this.agent(agent),
      reason,
    ]);
    const { counts, sharedReady: ready } = facts;
    return this.record.outsiders.push({ counts, nearest, ready }) - 1;
  }

  /** Bytes that they take when written, roughly. */
  get bytes(): number {
    const { texts, agents, outsiders } = this.record;
    return texts.length * 40 + agents.length * 160 + outsiders.length * 300;
  }
}
