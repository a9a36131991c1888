/**
 * Who may import whom: the table of ARCHITECTURE.md as a test. A folder without a row fails, a row
 * without a folder fails, and every forbidden cell has a reason that the failure prints.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

const root = path.join(import.meta.dirname, '..');

/** `all`: anything. `types`: `import type` only. A list: only these files. */
type Allowance = 'all' | 'types' | readonly string[];

interface Row {
  may: Record<string, Allowance>;
  /** Why not: by folder, or `*` for every other one. */
  reasons: Record<string, string>;
  /** Packages from outside that the folder may import, next to `node:`. */
  packages: readonly string[];
}

const notTests = 'fakes and harnesses stay out of the product';
const notMain = 'a composition root is imported by nothing';

const table: Record<string, Row> = {
  lib: {
    may: {},
    reasons: { '*': 'blocks without a domain: everything may stand on them' },
    packages: [],
  },
  protocol: {
    may: { lib: 'all' },
    reasons: { '*': 'the link is a contract of its own: it knows no plane, no store and no tier' },
    packages: ['ws', 'zod'],
  },
  domain: {
    may: { lib: 'all' },
    reasons: {
      '*': 'decisions are pure: no wire, no SQL, no HTTP, so that the simulator drives them',
    },
    packages: [],
  },
  api: {
    may: { lib: 'all', domain: 'all' },
    reasons: { '*': 'the public contract must not depend on how it is kept' },
    packages: ['zod'],
  },
  store: {
    may: { lib: 'all', domain: 'all' },
    reasons: { '*': 'SQL serves the control plane and knows nobody above it' },
    packages: ['kysely', 'pg'],
  },
  control: {
    may: { lib: 'all', domain: 'all', store: 'all' },
    reasons: {
      router: 'the control plane must work without a data plane in its process',
      http: 'use-cases do not know how they are called',
      '*': 'use-cases stand on store and domain only',
    },
    // For the one provider of identities that people may sign in with.
    packages: ['openid-client', 'undici'],
  },
  router: {
    may: {
      lib: 'all',
      protocol: 'all',
      domain: 'all',
      api: ['errors.ts', 'abilities.ts'],
    },
    reasons: {
      store: 'the data plane never waits for the database: durable state comes through ports.ts',
      control: 'the data plane is fed by ports, so that it can live in another process',
      '*': 'the data plane decides and relays, nothing else',
    },
    packages: ['ws'],
  },
  http: {
    may: { lib: 'all', api: 'all', domain: 'all', control: 'all', router: 'all' },
    reasons: {
      store: 'translation only: durable state changes through a use-case',
      protocol: 'the router owns its links; http hands it the socket',
      '*': 'translation only',
    },
    packages: ['hono', '@hono/node-server', 'ws', 'zod'],
  },
  agent: {
    may: { lib: 'all', protocol: 'all', api: ['enrollment.ts', 'errors.ts', 'fields.ts'] },
    reasons: {
      domain: 'an agent decides nothing about routing; it is built and shipped without it',
      '*': 'an agent is a program of its own on a stranger’s machine',
    },
    packages: ['undici', 'ws', 'zod', 'node-llama-cpp', '@huggingface/hub', '@huggingface/jinja'],
  },
  sim: {
    may: { lib: 'all', domain: 'all' },
    reasons: {
      router: 'the simulator stands in for the router; it drives the decisions, not the relay',
      '*': 'a model of engines and published rules needs nothing of the product but its decisions',
    },
    packages: [],
  },
  cli: {
    may: { lib: 'all', api: 'all' },
    reasons: { '*': 'commands talk to a server over HTTP only' },
    packages: [],
  },
};

/** Folders that may import everything (but main). */
const unrestricted = ['main', 'testing'];

interface Import {
  file: string;
  specifier: string;
  typeOnly: boolean;
}

function sourcesOf(folder: string): string[] {
  return readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => path.join(folder, file));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(path.join(root, file), 'utf8');
  const statement =
    /(?:^|\n)\s*(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?['"]([^'"]+)['"]/g;
  const dynamic = /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g;
  return [
    ...[...text.matchAll(statement)].map(([, type, specifier]) => ({
      file,
      specifier: specifier as string,
      typeOnly: type !== undefined,
    })),
    ...[...text.matchAll(dynamic)].map(([, specifier]) => ({
      file,
      specifier: specifier as string,
      typeOnly: false,
    })),
  ];
}

/** The folder of `src` that a relative import leads to, and the file inside it. */
function target(entry: Import): { folder: string; inside: string } | undefined {
  if (!entry.specifier.startsWith('.')) return undefined;
  const resolved = path.join(path.dirname(entry.file), entry.specifier);
  const [top, folder, ...inside] = resolved.split(path.sep);
  assert.equal(top, 'src', `${entry.file} imports ${entry.specifier}, which is outside src`);
  return { folder: folder as string, inside: inside.join('/') };
}

function packageOf(specifier: string): string {
  const parts = specifier.split('/');
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] as string);
}

function violation(folder: string, row: Row, entry: Import): string | undefined {
  const to = target(entry);
  if (to === undefined) {
    if (entry.specifier.startsWith('node:') || entry.typeOnly) return undefined;
    const name = packageOf(entry.specifier);
    return row.packages.includes(name)
      ? undefined
      : `${entry.file}: package ${name} is not ours to use`;
  }
  if (to.folder === folder) return undefined;
  const allowance = row.may[to.folder];
  const fine =
    allowance === 'all' ||
    (allowance === 'types' && entry.typeOnly) ||
    (Array.isArray(allowance) && allowance.includes(to.inside));
  if (fine) return undefined;
  const why =
    row.reasons[to.folder] ??
    (to.folder === 'testing' ? notTests : to.folder === 'main' ? notMain : row.reasons['*']);
  return `${entry.file} imports ${to.folder}/${to.inside}: ${why}`;
}

const folders = readdirSync(path.join(root, 'src'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);

test('a folder without a row in the import table, or a row without a folder', () => {
  assert.deepEqual(folders.toSorted(), [...Object.keys(table), ...unrestricted].toSorted());
});

for (const [folder, row] of Object.entries(table)) {
  test(`${folder}/ imports what it must not know`, () => {
    const found = sourcesOf(path.join('src', folder))
      .flatMap(importsOf)
      .map((entry) => violation(folder, row, entry))
      .filter((line) => line !== undefined);
    assert.deepEqual(found, []);
  });
}

test('a policy, an order or a router of the simulator that looks into the engine', () => {
  const base = path.join('src', 'sim');
  const deciding = sourcesOf(base).filter((file) =>
    /^(policies|orders)\/|^(policyRouter|routerPort)\.ts$/.test(path.relative(base, file)),
  );
  assert.ok(deciding.length > 10);
  // What they import, and what that imports: a detour is no way in either.
  const reached = new Set<string>();
  const open = [...deciding];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (reached.has(file)) continue;
    reached.add(file);
    const next = importsOf(file)
      .filter(({ specifier }) => specifier.startsWith('.'))
      .map(({ specifier }) => path.join(path.dirname(file as string), specifier));
    open.push(...next);
  }
  const inside = [...reached].filter((file) => file.startsWith(path.join(base, 'engine')));
  assert.deepEqual(inside, [], 'a policy sees what a router sees');
});

test('anything imports a composition root', () => {
  const found = [...sourcesOf('src'), ...sourcesOf('scripts')]
    .filter((file) => !file.startsWith(path.join('src', 'main')))
    .flatMap(importsOf)
    .filter((entry) => /(^|\/)main\//.test(entry.specifier));
  assert.deepEqual(found, []);
});

test('a stale allowance: a package that a folder may use and does not', () => {
  for (const [folder, row] of Object.entries(table)) {
    const used = new Set(
      sourcesOf(path.join('src', folder))
        .flatMap(importsOf)
        .map((entry) => packageOf(entry.specifier)),
    );
    const unused = row.packages.filter((name) => !used.has(name));
    assert.deepEqual(unused, [], `${folder}/ does not use what the table lets it`);
  }
});

test('a stale allowance: a folder that may be imported and is not', () => {
  for (const [folder, row] of Object.entries(table)) {
    const used = new Set(
      sourcesOf(path.join('src', folder))
        .flatMap(importsOf)
        .map((entry) => target(entry)?.folder),
    );
    const unused = Object.keys(row.may).filter((name) => !used.has(name));
    assert.deepEqual(unused, [], `${folder}/ does not use what the table lets it`);
  }
});

test('the dashboard imports more of the server than the types of its API', () => {
  const base = path.join(root, 'dashboard', 'src');
  assert.ok(existsSync(base));
  const found = readdirSync(base, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.tsx?$/.test(file))
    .flatMap((file) => importsOf(path.join('dashboard', 'src', file)))
    .filter(({ file, specifier, typeOnly }) => {
      if (!specifier.startsWith('.')) return false;
      const resolved = path.join(path.dirname(file), specifier);
      if (resolved.startsWith(path.join('dashboard', 'src'))) return false;
      return !(typeOnly && resolved.startsWith(path.join('src', 'api')));
    });
  assert.deepEqual(found, []);
});
