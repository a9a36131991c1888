/**
 * An agent that enrols over HTTP and links over a WebSocket, as a machine does; its engine is a
 * fake.
 */
import { WebSocket } from 'ws';
import { enrollAnswerSchema, enrollMessage, joinKeyIdOf } from '../../api/enrollment.ts';
import { newKeyPair, publicKeyText, signText } from '../../lib/crypto/ed25519.ts';
import { createWsTransport, linkSubprotocol, wsClientOptions } from '../../protocol/wsTransport.ts';
import type { Router } from '../../router/router.ts';
import { xeonFacts } from '../http/controlHarness.ts';
import { FakeAgent } from './fakeAgent.ts';
import type { HttpHarness } from '../http/httpHarness.ts';
import { until } from '../until.ts';

/**
 * Named `desk`, in the project `default`, with two slots for the model of its endpoint `own`. With
 * `shared` it is one of the platform's.
 */
export async function joinOverHttp(
  harness: HttpHarness<Router>,
  options: { shared?: boolean; slots?: number } = {},
): Promise<FakeAgent> {
  const { shared = false, slots = 2 } = options;
  const own = shared ? undefined : await harness.joinKey({ name: 'desk' });
  const joinKey = own ?? harness.credentials.joinKey.text;
  const pair = newKeyPair();
  const publicKey = publicKeyText(pair.publicKey);
  const { json } = await harness.call('GET', '/v1/enroll/nonce');
  const { nonce } = json as { nonce: string };
  const host = `127.0.0.1:${harness.port}`;
  const joinKeyId = joinKeyIdOf(joinKey) ?? '';
  const message = enrollMessage({ nonce, host, joinKeyId, publicKey, facts: xeonFacts });
  const signature = signText({ message, privateKey: pair.privateKey });
  const body = { join_key: joinKey, nonce, public_key: publicKey, facts: xeonFacts, signature };
  const reply = await harness.call('POST', '/v1/enroll', { body });
  const answer = enrollAnswerSchema.parse(reply.json);
  // Where a router hears of changes only when it is told, it would not know the agent yet.
  await until(() => harness.router.directory.agent(answer.agent_id) !== undefined);
  const url = new URL(answer.link_url, `${harness.base}/`);
  url.protocol = 'ws:';
  const socket = new WebSocket(url, linkSubprotocol, wsClientOptions);
  const { project } = harness.credentials;
  const modelId = harness.router.directory.endpoint(project.id, 'own')?.modelId ?? '';
  const identity = {
    agentId: answer.agent_id,
    keys: pair,
    publicKey,
    accessToken: answer.access_token,
  };
  const joined = await new Promise<FakeAgent>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('open', () => {
      const transport = createWsTransport(socket);
      resolve(new FakeAgent({ identity, transport, slots, modelId }));
    });
  });
  await until(() => harness.router.agent(answer.agent_id)?.slots === slots);
  return joined;
}
