/**
 * The server that is in use: whether it can be reached, over which certificate, how far its clock
 * is from ours, whether it knows us, and whether an agent's link would get through.
 */
import { randomBytes } from 'node:crypto';
import type http from 'node:http';
import { TLSSocket } from 'node:tls';
import type { StatusAnswer } from '../../api/control/status.ts';
import type { CommandContext } from '../command.ts';
import { callServer } from '../connection/callServer.ts';
import type { ServerContext } from '../connection/contextStore.ts';
import { refusalText } from '../connection/nextStep.ts';
import { openRequest, unreachableText } from '../connection/openRequest.ts';
import { finding, ok, type Finding } from './finding.ts';

/** Longest wait for an answer, in ms. */
const waitMs = 10_000;
/** `Date` is written in whole seconds, and the answer takes its time. */
const usualSkewMs = 3_000;
/** From here on, codes of authenticator apps begin to fail. */
const badSkewMs = 30_000;
const soonMs = 14 * 86_400_000;

/** With the server's version, where it told. */
export async function checkServer(
  context: Pick<CommandContext, 'clock' | 'random'>,
  server: ServerContext,
): Promise<{ findings: Finding[]; version: string | null }> {
  const { clock } = context;
  const askedAtMs = clock.now();
  const startedAtMs = clock.monotonic();
  const seen = await look(context, server);
  if (seen.kind === 'unreachable') {
    const found = `${server.server} cannot be reached`;
    const failure = finding('error', 'Server', { found, next: seen.message });
    return { findings: [failure], version: null };
  }
  const spentMs = clock.monotonic() - startedAtMs;
  const { status, version } = await checkSignIn(context, server);
  const findings = [
    ok('Server', `${server.server} answers in ${Math.round(spentMs)} ms`),
    ...checkCertificate(seen, server, clock.now()),
    ...checkClock(seen.dateMs, askedAtMs + spentMs / 2),
    ...status,
    ...(await checkLink(context, server)),
  ];
  return { findings, version };
}

type Seen =
  | { kind: 'answered'; dateMs: number; validToMs: number | null; secure: boolean }
  | { kind: 'unreachable'; message: string };

function look({ clock }: Pick<CommandContext, 'clock'>, server: ServerContext): Promise<Seen> {
  return new Promise((resolve) => {
    const head = { method: 'GET', path: '/healthz', headers: { accept: '*/*' } } as const;
    const request = openRequest(server, head);
    const timer = clock.setTimer(waitMs, () => request.destroy(new Error('no answer')), {
      keepAlive: true,
    });
    request.on('close', () => timer.cancel());
    request.on('error', (error) => {
      // See `callServer`: not every Node closes it then.
      timer.cancel();
      resolve({ kind: 'unreachable', message: unreachableText(error, server.server) });
    });
    request.on('response', (answer) => {
      const { socket } = answer;
      const secure = socket instanceof TLSSocket;
      const certificate = secure ? socket.getPeerX509Certificate() : undefined;
      const validToMs = certificate === undefined ? null : Date.parse(certificate.validTo);
      const dateMs = Date.parse(answer.headers.date ?? '');
      answer.resume();
      resolve({ kind: 'answered', dateMs, validToMs, secure });
    });
    request.end();
  });
}

function checkCertificate(
  { secure, validToMs }: Extract<Seen, { kind: 'answered' }>,
  { server, pin }: ServerContext,
  nowMs: number,
): Finding[] {
  if (!secure) {
    const { hostname } = new URL(server);
    if (/^(localhost|127\.[\d.]+|\[::1\])$/.test(hostname)) return [];
    return [
      finding('warning', 'TLS', {
        found: 'the server is spoken to in the clear',
        next: 'Start it with --host (its own certificate), --tls-cert, or behind a proxy with TLS.',
      }),
    ];
  }
  // A pinned key is good whatever its certificate says.
  if (pin !== null) return [ok('TLS', 'its key is the one that was pinned')];
  const days = Math.floor(((validToMs ?? 0) - nowMs) / 86_400_000);
  const found = `a trusted certificate, valid for ${days} days`;
  if ((validToMs ?? 0) - nowMs >= soonMs) return [ok('TLS', found)];
  return [finding('warning', 'TLS', { found, next: 'Renew the server’s certificate.' })];
}

function checkClock(dateMs: number, nowMs: number): Finding[] {
  if (Number.isNaN(dateMs)) return [];
  // The header leaves out the part of a second.
  const skewMs = Math.abs(dateMs + 500 - nowMs);
  if (skewMs <= usualSkewMs) return [ok('Clock', 'as the server’s')];
  const found = `${Math.round(skewMs / 1000)} s from the server’s`;
  const next = 'Agents do not mind, codes of authenticator apps do: timedatectl set-ntp true';
  return [finding(skewMs > badSkewMs ? 'warning' : 'note', 'Clock', { found, next })];
}

async function checkSignIn(
  { clock, random }: Pick<CommandContext, 'clock' | 'random'>,
  server: ServerContext,
): Promise<{ status: Finding[]; version: string | null }> {
  const { auth } = server;
  const parts = { address: server, auth, clock, random };
  const outcome = await callServer<StatusAnswer>(parts, { method: 'GET', path: '/api/v1/status' });
  if (outcome.kind === 'ok') {
    const { version, notices } = outcome.answer;
    const who = auth.kind === 'session' ? `as ${auth.email}` : 'with a management key';
    const notes = notices.map(({ message }) =>
      finding('note', 'Server', { found: message.replace(/\.$/, ''), next: null }),
    );
    return { status: [ok('Sign-in', who), ...notes], version };
  }
  const next =
    outcome.kind === 'unreachable'
      ? outcome.message
      : refusalText(outcome, { auth, topic: 'status', name: 'doctor' });
  const found = 'the server does not let us in';
  return { status: [finding('error', 'Sign-in', { found, next })], version: null };
}

/** An agent's link is a WebSocket, which not every proxy passes on. */
function checkLink(
  { clock }: Pick<CommandContext, 'clock'>,
  server: ServerContext,
): Promise<Finding[]> {
  const headers = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': randomBytes(16).toString('base64'),
    'sec-websocket-protocol': 'xim.link.1',
  };
  return new Promise((resolve) => {
    const request = openRequest(server, { method: 'GET', path: '/v1/agents/link', headers });
    const closed = (found: string): void => {
      const next =
        'Let the proxy pass WebSockets on (Upgrade and Connection) for /v1/agents/link, and keep ' +
        'them open.';
      resolve([finding('warning', 'Link', { found, next })]);
    };
    const timer = clock.setTimer(waitMs, () => request.destroy(), { keepAlive: true });
    request.on('upgrade', (_answer, socket) => {
      socket.destroy();
      resolve([ok('Link', 'an agent’s link gets through')]);
    });
    request.on('response', (answer: http.IncomingMessage) => {
      answer.resume();
      closed(`an agent’s link is answered ${answer.statusCode}`);
      request.destroy();
    });
    request.on('error', () => {
      timer.cancel();
      closed('an agent’s link is cut');
    });
    request.on('close', () => {
      timer.cancel();
      closed('an agent’s link gets no answer');
    });
    request.end();
  });
}
