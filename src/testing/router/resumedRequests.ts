/** Requests whose streams are continued by another agent, and what their clients read. */
import assert from 'node:assert/strict';
import type { InferenceRequest } from '../../router/ports.ts';
import { continues, type ContinuingOptions } from '../links/continuingAgent.ts';
import type { Script } from '../links/fakeAgent.ts';
import type { FakeClient, LinkedAgent, RouterHarness } from './routerHarness.ts';

/** Emoji, combining marks, CJK, white space of all kinds. */
export const text = 'Zoë 👩🏽‍💻 \n\n日本語 e\u0301 “ok”\t한국어 🏳️‍🌈\u3000done.';
export const dies: Script = (_request, agent) => agent.kill();
export const fails: Script = (request) => request.stream.reset('engine_failed');
export const able = ['chat', 'continue'];

export const bodyOf = (more: object = {}, content = text): Buffer =>
  Buffer.from(JSON.stringify({ messages: [{ role: 'user', content }], ...more }));

export function ask(one: RouterHarness, more: Partial<InferenceRequest> = {}) {
  return one.submit({ resume: true, body: bodyOf(), ...more });
}

export function agentOf(
  one: RouterHarness,
  options: ContinuingOptions,
  slots = 1,
): Promise<LinkedAgent> {
  return one.agent({ script: continues(options), abilities: able, slots });
}

interface Chunk {
  id: string;
  choices?: { delta: { content?: string; role?: string }; finish_reason: string | null }[];
  usage?: Record<string, number> | null;
  x_xim_resumed?: number;
  error?: { code: string };
}

export function chunksOf(client: FakeClient): Chunk[] {
  const events = client.text.split('\n\n');
  assert.equal(events.pop(), '');
  assert.equal(events.pop(), 'data: [DONE]');
  return events.map((event) => JSON.parse(event.slice('data: '.length)) as Chunk);
}

export const deltas = (chunks: Chunk[]): NonNullable<Chunk['choices']> =>
  chunks.flatMap(({ choices = [] }) => choices);
export const textOf = (client: FakeClient): string =>
  deltas(chunksOf(client))
    .map(({ delta }) => delta.content ?? '')
    .join('');
