/**
 * Finds the row of the route table for a method and a target. A trie over segments: one map look-up
 * per segment, no regular expression, no allocation for rows without parameters.
 *
 * Literal segments are compared as they came: `/%761/models` is not `/v1/models`. Parameters are
 * percent-decoded; a broken escape is malformed, never a guess.
 */
import type { Route } from '../../api/routes.ts';
import type { Method } from '../../api/routes/routeRow.ts';

export type RouteParams = Readonly<Record<string, string>>;

export type Match =
  | { kind: 'found'; route: Route; params: RouteParams }
  | { kind: 'wrong_method'; allow: readonly Method[]; crossOrigin: boolean }
  | { kind: 'unknown' }
  | { kind: 'malformed' };

export interface RouteMatcher {
  /** `path` is the target up to the query, as it came. */
  match(method: string, path: string): Match;
}

interface Node {
  literals: Map<string, Node>;
  parameter: { name: string; node: Node } | undefined;
  rest: { name: string; node: Node } | undefined;
  routes: Map<string, Route>;
}

const newNode = (): Node => ({
  literals: new Map(),
  parameter: undefined,
  rest: undefined,
  routes: new Map(),
});

const noParams: RouteParams = Object.freeze({});

function childFor(node: Node, segment: string): Node {
  const name = /^\{(\w+)(\*?)\}$/.exec(segment);
  if (name === null) {
    const literal = node.literals.get(segment) ?? newNode();
    node.literals.set(segment, literal);
    return literal;
  }
  const kind = name[2] === '*' ? 'rest' : 'parameter';
  node[kind] ??= { name: name[1] as string, node: newNode() };
  return node[kind].node;
}

/** Compiles the table. */
export function createRouteMatcher(routes: readonly Route[]): RouteMatcher {
  const root = newNode();
  for (const route of routes) {
    const segments = route.path.slice(1).split('/');
    const node = segments.reduce((at, segment) => childFor(at, segment), root);
    node.routes.set(route.method, route);
  }
  return { match: (method, path) => matchFrom(root, { method, path }) };
}

interface Found {
  node: Node;
  raw: readonly { name: string; value: string }[];
}

function walk(root: Node, path: string): Found | undefined {
  const raw: { name: string; value: string }[] = [];
  let node = root;
  let start = 1;
  while (start <= path.length) {
    const slash = path.indexOf('/', start);
    const end = slash === -1 ? path.length : slash;
    const segment = path.slice(start, end);
    const literal = node.literals.get(segment);
    if (literal !== undefined) {
      node = literal;
    } else if (node.parameter !== undefined && segment !== '') {
      raw.push({ name: node.parameter.name, value: segment });
      node = node.parameter.node;
    } else if (node.rest !== undefined) {
      raw.push({ name: node.rest.name, value: path.slice(start) });
      return { node: node.rest.node, raw };
    } else {
      return undefined;
    }
    start = end + 1;
  }
  return { node, raw };
}

function matchFrom(root: Node, target: { method: string; path: string }): Match {
  if (target.path[0] !== '/') return { kind: 'malformed' };
  const found = walk(root, target.path);
  if (found === undefined || found.node.routes.size === 0) return { kind: 'unknown' };
  const route = found.node.routes.get(target.method);
  if (route === undefined) {
    const rows = [...found.node.routes.values()];
    const crossOrigin = rows.some((row) => row.crossOrigin);
    return { kind: 'wrong_method', allow: rows.map((row) => row.method), crossOrigin };
  }
  if (found.raw.length === 0) return { kind: 'found', route, params: noParams };
  const params: Record<string, string> = {};
  for (const { name, value } of found.raw) {
    const decoded = decodeSegment(value);
    // A client that resolves dots would ask for another address, and no database keeps a NUL:
    // nothing of ours is called so.
    if (decoded === undefined || decoded === '.' || decoded === '..' || decoded.includes('\0')) {
      return { kind: 'malformed' };
    }
    params[name] = decoded;
  }
  return { kind: 'found', route, params };
}

function decodeSegment(value: string): string | undefined {
  if (!value.includes('%')) return value;
  try {
    return decodeURIComponent(value);
  } catch {
    return undefined;
  }
}
