/** State of the server, and the live view of a project. */
import type { AgentAnswer } from './agents.ts';
import type { EndpointAnswer } from './endpoints.ts';
import type { RequestAnswer } from './requests.ts';

/** `GET /api/v1/status`. */
export interface StatusAnswer {
  version: string;
  started_at: string;
  now: string;
  /** Requests that run and wait, over all projects that the caller may see. */
  running: number;
  waiting: number;
  journal: 'ok' | 'failing';
  /** What an operator should know, e.g. that shared agents run without a sandbox. */
  notices: { code: string; message: string }[];
  base_url: string;
}

/** `GET /api/v1/projects/:project/live`: server-sent events `snapshot`, at most one a second. */
export interface LiveSnapshot {
  at: string;
  status: StatusAnswer;
  agents: AgentAnswer[];
  endpoints: EndpointAnswer[];
  requests: RequestAnswer[];
}
