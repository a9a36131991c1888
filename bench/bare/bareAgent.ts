/** The bare relay at the agent's place: what comes over the WebSocket goes to the engine. */
import { Pool } from 'undici';
import { WebSocket } from 'ws';
import { framed, read } from './bareMessage.ts';

const [, , routerPort, enginePort] = process.argv;
const engine = new Pool(`http://127.0.0.1:${enginePort}`, { connections: 2048 });
const link = new WebSocket(`ws://127.0.0.1:${routerPort}`, { perMessageDeflate: false });

link.on('open', () => process.send?.({ type: 'up' }));
link.on('message', (message: Buffer) => {
  const { id, bytes } = read(message);
  const headers = { 'content-type': 'application/json' };
  const path = '/v1/chat/completions';
  let isStream = false;
  const whole: Buffer[] = [];
  engine.dispatch(
    { path, method: 'POST', headers, body: bytes },
    {
      onRequestStart() {},
      onResponseStart(_controller, _status, { 'content-type': type }) {
        isStream = String(type).startsWith('text/event-stream');
      },
      onResponseData(_controller, chunk) {
        if (isStream) link.send(framed(id, { isLast: false, parts: [chunk] }));
        else whole.push(chunk);
      },
      onResponseEnd() {
        link.send(framed(id, { isLast: true, parts: whole }));
      },
      onResponseError(_controller, error) {
        throw error;
      },
    },
  );
});
process.on('disconnect', () => process.exit(0));
