/**
 * The open instances of a pool, also by region, so that a part of many can be drawn of which the
 * nearest are as well looked at as among few.
 */
import type { Random } from '../../lib/random.ts';
import type { Nearness } from '../agents/regionMap.ts';
import { SampledSet } from '../prediction/sampledSet.ts';
import { maxSampledRegions } from './limits.ts';
import type { EngineInstance } from './schedulerState.ts';

/** Where a request belongs, and how far regions are from there. */
interface From {
  random: Random;
  region: string;
  nearnessOf: (region: string) => Nearness;
}

export class OpenInstances {
  private readonly every = new SampledSet<EngineInstance>();
  /** In small letters; none without an instance. */
  private readonly byRegion = new Map<string, SampledSet<EngineInstance>>();
  /** Where each was put: its agent may say another region by now. */
  private readonly regions = new Map<EngineInstance, string>();

  get size(): number {
    return this.every.size;
  }

  has(instance: EngineInstance): boolean {
    return this.regions.has(instance);
  }

  add(instance: EngineInstance): void {
    if (this.regions.has(instance)) return;
    const region = instance.agent.entry.region.toLowerCase();
    this.regions.set(instance, region);
    this.every.add(instance);
    const there = this.byRegion.get(region) ?? new SampledSet<EngineInstance>();
    this.byRegion.set(region, there);
    there.add(instance);
  }

  delete(instance: EngineInstance): void {
    const region = this.regions.get(instance);
    if (region === undefined) return;
    this.regions.delete(instance);
    this.every.delete(instance);
    const there = this.byRegion.get(region);
    there?.delete(instance);
    if (there?.size === 0) this.byRegion.delete(region);
  }

  /** All of them. They must not change on the way. */
  all(): readonly EngineInstance[] {
    return this.every.all();
  }

  /**
   * So many at random, or all: half of them from the nearest regions that have some, the others
   * from anywhere, so that who has less to do or is faster is seen, too.
   */
  sample(count: number, from: From): readonly EngineInstance[] {
    const { random } = from;
    if (this.byRegion.size === 1) return this.every.draw(count, random);
    const found = new Set<EngineInstance>();
    let left = Math.floor(count / 2);
    for (const regions of this.nearest(from)) {
      if (left === 0) break;
      for (const [at, region] of regions.entries()) {
        const part = region.draw(Math.ceil(left / (regions.length - at)), random);
        for (const instance of part) found.add(instance);
        left -= part.length;
      }
    }
    for (const instance of this.every.draw(count, random)) {
      if (found.size === count) break;
      found.add(instance);
    }
    return [...found];
  }

  /** The same region, then those near it. Bounded: of very many regions some are looked at. */
  private *nearest({ region, nearnessOf }: From): Generator<SampledSet<EngineInstance>[]> {
    const same = this.byRegion.get(region.toLowerCase());
    if (same !== undefined) yield [same];
    const near: SampledSet<EngineInstance>[] = [];
    let looked = 0;
    for (const [other, instances] of this.byRegion) {
      if ((looked += 1) > maxSampledRegions) break;
      if (instances !== same && nearnessOf(other) === 'near') near.push(instances);
    }
    yield near;
  }
}
