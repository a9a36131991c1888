/** An agent without an engine that enrols and links over the network, as a machine does. */
import { WebSocket } from 'ws';
import { enrollAnswerSchema, enrollMessage, joinKeyIdOf } from '../../src/api/enrollment.ts';
import type { EnrollAnswer } from '../../src/api/enrollment.ts';
import { newKeyPair, publicKeyText, signText } from '../../src/lib/crypto/ed25519.ts';
import {
  createWsTransport,
  linkSubprotocol,
  wsClientOptions,
} from '../../src/protocol/wsTransport.ts';
import { xeonFacts } from '../../src/testing/http/controlHarness.ts';
import { FakeAgent, type AgentIdentity } from '../../src/testing/links/fakeAgent.ts';
import { until } from '../../src/testing/processes/processes.ts';
import type { TimedClient } from './timedClient.ts';

export interface Enrolled {
  identity: AgentIdentity;
  linkUrl: URL;
  /** Of the enrolment itself, behind the nonce. */
  ms: number;
}

export async function enrol(
  client: TimedClient,
  { base, joinKey }: { base: string; joinKey: string },
): Promise<Enrolled> {
  const keys = newKeyPair();
  const publicKey = publicKeyText(keys.publicKey);
  const { json } = await client.expect<{ nonce: string }>(200, ['GET', '/v1/enroll/nonce']);
  const { nonce } = json;
  const { host } = new URL(base);
  const joinKeyId = joinKeyIdOf(joinKey) ?? '';
  const message = enrollMessage({ nonce, host, joinKeyId, publicKey, facts: xeonFacts });
  const signature = signText({ message, privateKey: keys.privateKey });
  const body = { join_key: joinKey, nonce, public_key: publicKey, facts: xeonFacts, signature };
  const answer = await client.expect<EnrollAnswer>(201, ['POST', '/v1/enroll', { body }]);
  const {
    agent_id: agentId,
    access_token: accessToken,
    link_url: link,
  } = enrollAnswerSchema.parse(answer.json);
  const linkUrl = new URL(link, base);
  linkUrl.protocol = linkUrl.protocol === 'https:' ? 'wss:' : 'ws:';
  return { identity: { agentId, keys, publicKey, accessToken }, linkUrl, ms: answer.ms };
}

export interface JoinedAgent {
  /** When its link ended, by `performance.now()`. */
  ended: Promise<number>;
}

let processes = 0;

/** Resolves when the server has welcomed the link. */
export async function link({ identity, linkUrl }: Enrolled): Promise<JoinedAgent> {
  const socket = new WebSocket(linkUrl, linkSubprotocol, wsClientOptions);
  const ended = new Promise<number>((resolve) => {
    socket.once('close', () => resolve(performance.now()));
  });
  processes += 1;
  const nonce = `bench-process-${processes}`;
  const agent = await new Promise<FakeAgent>((resolve, reject) => {
    socket.once('error', reject);
    // The router speaks first, so the agent has to be there at once.
    socket.once('open', () => {
      resolve(new FakeAgent({ identity, transport: createWsTransport(socket), nonce }));
    });
  });
  await until(() => agent.isLinked, { what: 'the link to be welcomed' });
  return { ended };
}
