/** What agents call. */
import { agent, anyone, signedBody } from './access.ts';
import type { RouteRow, Summaries } from './routeRow.ts';

export const enrolmentRows = [
  ['GET', '/v1/enroll/nonce', 'enrolment', anyone, 'nonce'],
  ['POST', '/v1/enroll', 'enrolment', signedBody, 'enroll'],
  ['POST', '/v1/enroll/refresh', 'enrolment', signedBody, 'refresh'],
  ['GET', '/v1/agents/link', 'link', agent, 'link'],
] as const satisfies readonly RouteRow[];

export const enrolmentSummaries: Summaries<typeof enrolmentRows> = {
  nonce: 'Take a nonce to sign: good for 60 s, once',
  enroll: 'Enrol an agent with a join key',
  refresh: 'Rotate an agent’s token and get a new access token',
  link: 'The agent link (WebSocket, subprotocol xim.link.1)',
};
