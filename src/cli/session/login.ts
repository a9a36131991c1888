/** `xim login`: who somebody is on a server, kept as a context (0600) for the other commands. */
import { defineConfig } from '../../lib/config.ts';
import { pinPattern } from '../../lib/network/pinnedTls.ts';
import { defineCommand, type CommandContext } from '../command.ts';
import {
  contextStore,
  isContextName,
  localContextName,
  type ServerContext,
} from '../connection/contextStore.ts';
import { endCommand, endingOf, print } from '../connection/withServer.ts';
import { exitCodes } from '../exitCodes.ts';
import { serverOptions } from '../serverContext.ts';
import { acceptInvitation, invitationIn } from './acceptInvitation.ts';
import { signInAsPerson } from './signInAsPerson.ts';
import { signInByKey } from './signInByKey.ts';
import { trustedPin } from './trustedPin.ts';

const options = defineConfig({
  email: {
    type: 'text',
    flag: 'email',
    default: undefined,
    placeholder: 'EMAIL',
    help: 'Of your account; asked for otherwise.',
    group: 'Who',
  },
  key: {
    type: 'switch',
    flag: 'key',
    default: false,
    help: 'Read a management key instead of a password: for programs, and one project alone.',
    group: 'Who',
  },
  pin: {
    type: 'text',
    flag: 'pin',
    default: undefined,
    placeholder: 'sha256//…',
    help: 'Public key of a server whose certificate is its own, as its first screen shows it.',
    group: 'Server',
    check: (pin: string) => (pinPattern.test(pin) ? undefined : 'give sha256// and 44 characters'),
  },
  name: {
    type: 'text',
    flag: 'name',
    default: undefined,
    placeholder: 'NAME',
    help: 'Of the context; by default made of the address.',
    group: 'Server',
    check: (name: string) =>
      isContextName(name) && name !== localContextName
        ? undefined
        : `give 1 to 64 of a-z, 0-9, - and _, and not "${localContextName}"`,
  },
  project: {
    type: 'text',
    flag: 'project',
    env: 'XIM_PROJECT',
    default: undefined,
    placeholder: 'SLUG',
    help: 'The project that later commands are about; by default your first.',
    group: 'Server',
  },
  output: serverOptions.output,
});

export const login = defineCommand({
  words: ['login'],
  operands: ['[URL]'],
  summary: 'Sign in to a server',
  details:
    'Without URL, to the one in use again; the address of an invitation accepts it. Asks ' +
    'for what it needs; without a terminal, it reads one answer a line from standard input, ' +
    'in the order of the questions: e-mail address (unless --email), password, code where ' +
    'there is a second factor, new password where it must be changed; or with --key, the ' +
    'key.',
  options,
  run: (context, { options: given, operands: [url] }) =>
    endingOf({ name: 'login', context }, async () => {
      const { env } = context;
      const store = contextStore(env);
      const before = contextBefore(store, given.name);
      const server = serverOf(url ?? before?.server);
      const known = before?.server === server ? before : undefined;
      warnOfPlainText(server, context);
      const pin = await trustedPin({ server, context, given: given.pin ?? known?.pin ?? null });
      const address = { server, pin };
      // Whoever names the server is asked who they are: the order of questions is the same always.
      const again = url === undefined && known?.auth.kind === 'session' ? known.auth : undefined;
      const person = given.email ?? again?.email;
      const { auth, projects } = await signIn({ address, context }, { url, person, ...given });
      const project = chosenProject(projects, given.project ?? known?.project ?? undefined);
      const name = given.name ?? nameFrom(server);
      const signedIn: ServerContext = {
        server,
        pin,
        auth,
        project,
        endpoint: known !== undefined && known.project === project ? known.endpoint : null,
        chat_keys: known?.chat_keys ?? {},
      };
      store.write(name, signedIn);
      store.use(name);
      const who = auth.kind === 'session' ? auth.email : null;
      const answer = { context: name, server, email: who, project, projects };
      print(
        { context, options: { ...given, context: undefined, dataDir: undefined } },
        answer,
        () => loginText(answer),
      );
    }),
});

/** By a key, by an invitation, or as whoever is asked. */
function signIn(
  signing: Parameters<typeof signInByKey>[0],
  given: { url: string | undefined; person: string | undefined; key: boolean },
): ReturnType<typeof signInAsPerson> {
  const token = invitationIn(given.url);
  if (given.key) return signInByKey(signing);
  if (token !== undefined) return acceptInvitation({ ...signing, token });
  return signInAsPerson({ ...signing, email: given.person });
}

type Answer = {
  context: string;
  server: string;
  email: string | null;
  project: string | null;
  projects: string[];
};

function loginText({ context, server, email, project, projects }: Answer): string {
  const who = email === null ? 'with a management key' : `as ${email}`;
  const lines = [`Signed in to ${server} ${who}; the context "${context}" is in use.\n`];
  if (project === null) lines.push('No project is open to you yet; ask an owner to invite you.\n');
  else {
    const others = projects.length > 1 ? ' Others: xim projects list' : '';
    lines.push(`Project: ${project}.${others}\n`);
  }
  return lines.join('');
}

function contextBefore(
  store: ReturnType<typeof contextStore>,
  name: string | undefined,
): ServerContext | undefined {
  const wanted = name ?? store.current();
  const read = wanted === undefined ? undefined : store.read(wanted);
  return read?.kind === 'ok' ? read.context : undefined;
}

/** `host:port` is taken too: people type what they see. */
function serverOf(text: string | undefined): string {
  if (text === undefined) {
    endCommand(
      'give the server’s address, e.g. xim login https://xim.example.org',
      exitCodes.usage,
    );
  }
  const scheme = /^(localhost|127\.|\[::1\])/.test(text) ? 'http' : 'https';
  const whole = text.includes('://') ? text : `${scheme}://${text}`;
  const url = URL.canParse(whole) ? new URL(whole) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '') {
    endCommand(`"${text}" is no address of a server; give https://HOST[:PORT]`, exitCodes.usage);
  }
  // The dashboard's address is what stands in a browser.
  return `${url.origin}${url.pathname.replace(/\/ui(\/.*)?$/, '')}`.replace(/\/+$/, '');
}

const isLoopback = ({ hostname }: URL): boolean =>
  /^(localhost|127\.[\d.]+|\[::1\])$/.test(hostname);

function warnOfPlainText(server: string, { terminal }: CommandContext): void {
  const url = new URL(server);
  if (url.protocol === 'https:' || isLoopback(url)) return;
  terminal.note(`Warning: ${url.host} is spoken to without TLS; others on the way can read it.\n`);
}

function chosenProject(projects: readonly string[], wish: string | undefined): string | null {
  if (wish !== undefined && projects.includes(wish)) return wish;
  return projects[0] ?? null;
}

/** `xim.example.org:8443` → `xim-example-org-8443`. */
function nameFrom(server: string): string {
  const words = new URL(server).host.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  const name = words.join('-').slice(0, 60);
  return isContextName(name) && name !== localContextName ? name : 'server';
}
