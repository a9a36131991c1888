/**
 * What was found out for one request, kept for others that are alike: for the same endpoint,
 * project and model, as their entries are, and with the same abilities asked for. It holds for as
 * long as what it depends on has the same version.
 */
import type { RoutedRequest } from '../agents/matching.ts';
import { maxKindsOfRequests } from './limits.ts';

interface Known<Value> extends Pick<RoutedRequest, 'endpoint' | 'project' | 'model'> {
  value: Value;
}

export class AlikeMap<Value> {
  private readonly version: () => number;
  private knownOf = -1;
  /** The one that was found first is forgotten first. */
  private readonly known = new Map<string, Known<Value>>();

  /** @param version another number whenever what was found may not hold any more */
  constructor(version: () => number) {
    this.version = version;
  }

  /** What is known, or else what `find` finds now. */
  of(request: RoutedRequest, find: () => Value): Value {
    const { known } = this;
    const version = this.version();
    if (this.knownOf !== version) known.clear();
    this.knownOf = version;
    const { endpoint, project, model } = request;
    const key = [endpoint.id, ...request.abilities].join('|');
    const last = known.get(key);
    // Entries of the directory are replaced when anything of them changes.
    const isSame = last?.endpoint === endpoint && last.project === project && last.model === model;
    if (isSame) return last.value;
    const value = find();
    known.delete(key);
    known.set(key, { endpoint, project, model, value });
    if (known.size > maxKindsOfRequests) known.delete(known.keys().next().value ?? '');
    return value;
  }
}
