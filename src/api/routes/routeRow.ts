/** Rows of the route table in short, as the topics write them. */
import type { Access } from './access.ts';

/** What serves a row. */
export type Plane = 'data' | 'control' | 'enrolment' | 'link' | 'files' | 'health';

export type Method = 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'PUT' | 'DELETE' | 'OPTIONS';

/** Method, path, plane, access, handler. */
export type RouteRow = readonly [Method, string, Plane, Access, string];

/** What each handler of some rows does, for readers of the API. */
export type Summaries<Rows extends readonly RouteRow[]> = Readonly<Record<Rows[number][4], string>>;
