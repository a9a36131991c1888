/**
 * The route table: every path and method that the listener serves, and who may call it. Dispatch,
 * the answers `unknown_url` and `method_not_supported` (with `Allow`) and `openapi.json` are all
 * made from it; C3: the listener serves nothing that is not in it.
 *
 * A path is made of literal segments and `{name}` (exactly one segment, percent-decoded); `{rest*}`
 * stands last and takes all that follows. Literals win over names, and there is no backtracking:
 * the reserved slugs (`lib/text/slug.ts`) keep a project from hiding behind a literal. Nothing is
 * folded: a trailing slash, a double slash or an escaped literal is another path.
 */

import { agentRows, agentSummaries } from './routes/agentRows.ts';
import { apiKeyRows, apiKeySummaries } from './routes/apiKeyRows.ts';
import { auditRows, auditSummaries } from './routes/auditRows.ts';
import { catalogueRows, catalogueSummaries } from './routes/catalogueRows.ts';
import { dataRows, dataSummaries } from './routes/dataRows.ts';
import { enrolmentRows, enrolmentSummaries } from './routes/enrolmentRows.ts';
import { fileRows, fileSummaries } from './routes/fileRows.ts';
import { joinKeyRows, joinKeySummaries } from './routes/joinKeyRows.ts';
import { projectRows, projectSummaries } from './routes/projectRows.ts';
import { sessionRows, sessionSummaries } from './routes/sessionRows.ts';
import { sourcePlatformRows } from './routes/sourcePlatform.ts';
import { usageRows, usageSummaries } from './routes/usageRows.ts';
import { userRows, userSummaries } from './routes/userRows.ts';
import { anyone, type Access } from './routes/access.ts';
import type { Method, Plane } from './routes/routeRow.ts';

export interface Route {
  readonly method: Method;
  readonly path: string;
  readonly plane: Plane;
  readonly access: Access;
  /** Name of the one handler; several paths may share it. */
  readonly handler: string;
  readonly summary: string;
  /** Any page may call it with a key of its own: no cookie is read, and CORS allows it. */
  readonly crossOrigin: boolean;
}

/** The topics' rows, in the order in which readers meet them. */
const rows = [
  ...dataRows,
  ...enrolmentRows,
  ...sessionRows,
  ...userRows,
  ...projectRows,
  ...apiKeyRows,
  ...catalogueRows,
  ...usageRows,
  ...agentRows,
  ...joinKeyRows,
  ...auditRows,
  ...fileRows,
] as const;

type Row = (typeof rows)[number];

/** Handler names of a plane: a plane that forgets one, or has one too many, does not compile. */
export type HandlerOf<P extends Plane> =
  | Extract<Row, readonly [unknown, unknown, P, ...unknown[]]>[4]
  | (P extends 'data' ? 'preflight' : never);

const summaries: Readonly<Record<Row[4], string>> = {
  ...dataSummaries,
  ...enrolmentSummaries,
  ...sessionSummaries,
  ...userSummaries,
  ...projectSummaries,
  ...apiKeySummaries,
  ...catalogueSummaries,
  ...usageSummaries,
  ...agentSummaries,
  ...joinKeySummaries,
  ...auditSummaries,
  ...fileSummaries,
};

function route([method, path, plane, access, handler]: Row): Route {
  const { by }: Access = access;
  const crossOrigin = plane === 'data' || by === 'api_key';
  return { method, path, plane, access, handler, summary: summaries[handler], crossOrigin };
}

/** Files and health may be asked for with HEAD; rows for any page answer a browser's preflight. */
function companions(row: Route, all: readonly Route[]): Route[] {
  const first = all.find((other) => other.path === row.path) === row;
  if (row.crossOrigin && first) {
    const preflight = { plane: 'data', handler: 'preflight', summary: 'CORS preflight' } as const;
    return [{ ...row, method: 'OPTIONS', access: anyone, ...preflight }];
  }
  const headed = (row.plane === 'files' || row.plane === 'health') && row.method === 'GET';
  return headed ? [{ ...row, method: 'HEAD' }] : [];
}

const base = [...rows, ...sourcePlatformRows<Row>(rows)].map(route);

/** The table. */
export const routes: readonly Route[] = base.flatMap((row) => [row, ...companions(row, base)]);
