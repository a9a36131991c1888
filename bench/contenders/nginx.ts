/**
 * nginx as the yardstick: one worker, no buffering of answers, connections to the engine kept, and
 * a line of log for each request, as the router writes one.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { freePort } from '../../src/testing/processes/freePort.ts';
import { childrenOf, until } from '../../src/testing/processes/processes.ts';
import { systemBinary } from '../../src/testing/processes/systemBinary.ts';
import type { Children } from '../machine/children.ts';
import type { Contender, Surroundings } from './contender.ts';

export type NginxOutcome =
  | { kind: 'started'; contender: Contender; version: string }
  | { kind: 'missing'; reason: string };

export async function startNginx(
  children: Children,
  surroundings: Surroundings,
): Promise<NginxOutcome> {
  const binary = systemBinary({ names: ['nginx'], debianPackage: 'nginx-light' });
  if (binary.kind === 'missing') return binary;
  const directory = path.join(surroundings.directory, 'nginx');
  mkdirSync(directory);
  const port = await freePort();
  const file = path.join(directory, 'nginx.conf');
  writeFileSync(file, configuration({ directory, port, mockPort: surroundings.mockPort }));
  const child = children.start({
    name: 'nginx',
    side: 'device',
    file: binary.path,
    args: ['-p', directory, '-c', file, '-e', path.join(directory, 'error.log')],
    directory: surroundings.directory,
  });
  await Promise.race([
    until(() => childrenOf(child.pid).length > 0, { what: 'the worker of nginx' }),
    child.failed,
  ]);
  const target = { port, path: '/v1/chat/completions' };
  const devicePids = [child.pid, ...childrenOf(child.pid)];
  const said = spawnSync(binary.path, ['-v'], { encoding: 'utf8' }).stderr;
  return {
    kind: 'started',
    contender: { name: 'nginx', target, devicePids, agentPids: [] },
    version: /nginx\/([\d.]+)/.exec(said)?.[1] ?? 'unknown',
  };
}

function configuration(options: { directory: string; port: number; mockPort: number }): string {
  const { directory, port, mockPort } = options;
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `
daemon off;
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 1;
pid ${directory}/nginx.pid;
error_log ${directory}/error.log warn;
events { worker_connections 8192; }
http {
  ${temporary.map((name) => `${name}_temp_path ${directory}/${name};`).join('\n  ')}
  access_log ${directory}/access.log combined;
  keepalive_requests 1000000;
  client_max_body_size 16m;
  # A whole prompt stays in memory, as in the router.
  client_body_buffer_size 2m;
  upstream engine {
    server 127.0.0.1:${mockPort};
    keepalive 2048;
    keepalive_requests 1000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://engine;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 600s;
    }
  }
}
`;
}
