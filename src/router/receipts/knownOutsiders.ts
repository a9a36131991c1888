/**
 * Who could never have served, remembered for each endpoint while the fleet is as it was. While the
 * fleet changes all the time, no more than some looks a second are made; what was found earlier
 * stands in for the rest, or nothing does.
 */
import { outsidersOf, type OutsiderFacts } from '../../domain/explaining/outsiders.ts';
import type { RoutedRequest } from '../../domain/agents/matching.ts';
import type { Fleet } from '../../domain/scheduler/verdict.ts';
import { Allowance } from '../../lib/allowance.ts';
import type { Clock } from '../../lib/clock.ts';
import { maxKnownOutsiders, outsiderLooksPerSecond } from '../limits.ts';

interface Known {
  facts: OutsiderFacts;
  fleetVersion: number;
  request: RoutedRequest;
}

export class KnownOutsiders {
  private readonly fleet: Fleet;
  private readonly clock: Clock;
  private readonly looks: Allowance;
  /** By endpoint; the one that was looked up longest ago is forgotten first. */
  private readonly known = new Map<string, Known>();

  constructor(options: { fleet: Fleet; clock: Clock }) {
    this.fleet = options.fleet;
    this.clock = options.clock;
    const rate = { burst: outsiderLooksPerSecond, perSecond: outsiderLooksPerSecond };
    this.looks = new Allowance(rate, this.clock.monotonic());
  }

  /** Null: nothing is known, and it was looked too often lately. */
  of(request: RoutedRequest): OutsiderFacts | null {
    const { fleet, known } = this;
    const { id } = request.endpoint;
    const fleetVersion = fleet.agents.version + fleet.pools.version;
    const last = known.get(id);
    const isSame = last !== undefined && sameSettings(last.request, request);
    if (isSame && last.fleetVersion === fleetVersion) return last.facts;
    if (!this.looks.take(1, this.clock.monotonic())) return isSame ? last.facts : null;
    const facts = outsidersOf(fleet, request);
    known.delete(id);
    known.set(id, { facts, fleetVersion, request });
    if (known.size > maxKnownOutsiders) known.delete(known.keys().next().value ?? '');
    return facts;
  }
}

/** Entries of the directory are replaced when anything of them changes. */
const sameSettings = (one: RoutedRequest, other: RoutedRequest): boolean =>
  one.endpoint === other.endpoint && one.project === other.project && one.model === other.model;
