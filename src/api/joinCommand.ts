/**
 * The line that an owner pastes on a machine to make it an agent: it fetches `/install.sh` from
 * this very server and hands it the join key in the environment, where process lists do not show
 * it.
 *
 * Invariants
 * J1 Everything that comes from outside is quoted for the shell; the line is safe to paste as it
 *    is.
 * J2 With a pin nothing that the server sent is executed before its public key was compared.
 */

import { pinPattern } from '../lib/network/pinnedTls.ts';

/** Longest silence of the server while the script is fetched, in ms. */
const silenceMs = 30_000;

export interface JoinCommandParts {
  /** As the new machine reaches the server, without a slash at the end. */
  serverUrl: string;
  /**
   * `sha256//…` of a private certificate; null for plain HTTP or a certificate that others vouch
   * for.
   */
  pin: string | null;
  joinKey: string;
}

/** The same line in two dialects: `shell` needs curl, `node` needs nothing but Node. */
export interface JoinCommand {
  shell: string;
  node: string;
}

/** Builds both lines. Throws on a pin of another form, because that is a bug of the caller. */
export function joinCommand(parts: JoinCommandParts): JoinCommand {
  if (parts.pin !== null && !pinPattern.test(parts.pin)) throw new Error('not a pin');
  const script = `${parts.serverUrl}/install.sh`;
  const run = `XIM_JOIN_KEY=${shellQuote(parts.joinKey)} sh`;
  const pinned = parts.pin === null ? '' : ` -k --pinnedpubkey ${shellQuote(parts.pin)}`;
  return {
    shell: `curl -fsS${pinned} ${shellQuote(script)} | ${run}`,
    node: `node -e ${shellQuote(fetchProgram(script, parts.pin))} | ${run}`,
  };
}

/** Prints a URL's body with Node alone; checks the pin before the first byte is passed on (J2). */
function fetchProgram(url: string, pin: string | null): string {
  const module = url.startsWith('https:') ? 'https' : 'http';
  const check =
    pin === null
      ? ''
      : 'let k=r.socket.getPeerX509Certificate().publicKey.export({type:"spki",format:"der"});' +
        'if(require("crypto").createHash("sha256").update(k).digest("base64")!==' +
        `${JSON.stringify(pin.slice('sha256//'.length))})` +
        'return f("the server has another key than the pasted line");';
  const unchecked = pin === null ? '' : 'rejectUnauthorized:false,';
  const options = `{${unchecked}agent:false,timeout:${silenceMs}}`;
  return (
    'let f=m=>{console.error("xim: "+m);process.exit(1)};' +
    `require("${module}").get(${JSON.stringify(url)},${options},r=>{${check}` +
    'if(r.statusCode!==200)return f("HTTP "+r.statusCode);' +
    'r.pipe(process.stdout)}).on("timeout",()=>f("no answer")).on("error",e=>f(e.message))'
  );
}

/** Quotes a value for a POSIX shell, whatever it holds. Plain words stay plain. */
export function shellQuote(value: string): string {
  if (/^[A-Za-z0-9_./:=@%+-]+$/.test(value)) return value;
  return `'${value.replaceAll("'", `'\\''`)}'`;
}
