/**
 * `/install.sh`: the script that makes a machine with Node ≥ 20.18.1 and nothing else of ours an
 * agent. It fetches `/install/xim.tgz` from the server that it came from, checks it, unpacks it
 * into a directory named after its digest, and becomes `xim agent` with the arguments that it was
 * given.
 *
 * Invariants
 * I1 Needs `sh` and `node`, no `curl`, no `tar`, no registry, no root.
 * I2 What was downloaded is unpacked only when its SHA-256 is the one in this script, and the
 *    script itself came over a pinned or vouched-for connection (or over loopback).
 * I3 A download cut short executes nothing: the shell reads the whole `main` before it runs it.
 * I4 The directory appears by one rename, whole or not at all; a second run reuses it. What a
 *    failed run has written goes with it, what a killed one left goes with the next.
 * I5 `xim` beside the versions is a link to the one that was installed last, so that a service or a
 *    person starts it by one name, whatever is updated. It changes by one rename, too.
 */
import { nodeArguments } from '../lib/process/nodeArguments.ts';
import { shellQuote } from './joinCommand.ts';

/** The oldest Node that runs the agent. */
export const minimumNode = '20.18.1';

/** What `build/install/xim.json` says of the package beside it. */
export interface InstallPackage {
  version: string;
  /** Lower-case hex. */
  sha256: string;
  bytes: number;
}

export interface InstallScriptParts {
  /** As the new machine reaches the server, without a slash at the end. */
  serverUrl: string;
  /** `sha256//…`, or null. */
  pin: string | null;
  package: InstallPackage;
}

/**
 * The downloader, as old a JavaScript as a Node too old for us can still parse. No apostrophe may
 * stand in it: the shell has it between two.
 */
const downloader = `
const [url, pin, sha256, target] = process.argv.slice(1);
const crypto = require("crypto"), fs = require("fs"), path = require("path");
const limit = 64 * 1024 * 1024, temporary = target + ".new-" + process.pid;
const fail = (why) => { console.error("xim: " + why); process.exit(1); };
// Step by step: in /proc the recursive one of Node never ends.
const isThere = (dir) => fs.existsSync(dir) && fs.statSync(dir).isDirectory();
const makeDirectory = (dir) => {
  try { fs.mkdirSync(dir, { mode: 0o700 }); } catch (error) {
    if (isThere(dir)) return;
    if (error.code !== "ENOENT" || isThere(path.dirname(dir))) throw error;
    makeDirectory(path.dirname(dir));
    makeDirectory(dir);
  }
};
const field = (block, at, size) => block.toString("latin1", at, at + size).split("\\0")[0].trim();
const unpack = (tar, into) => {
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const name = field(tar, at, 100), size = parseInt(field(tar, at + 124, 12), 8);
    const mode = parseInt(field(tar, at + 100, 8), 8);
    const file = path.join(into, name);
    if (!file.startsWith(into + path.sep)) fail("the package holds a path outside itself");
    makeDirectory(path.dirname(file));
    fs.writeFileSync(file, tar.subarray(at + 512, at + 512 + size), { mode, flush: true });
    at += 512 + Math.ceil(size / 512) * 512;
  }
};
const remove = (dir) => {
  try { fs.rmSync(dir, { recursive: true, force: true }); } catch (error) { /* It stays. */ }
};
// By age: machines may share a home, and nobody knows the processes of another one.
const removeLeftovers = (parent) => {
  for (const name of fs.readdirSync(parent)) {
    const left = path.join(parent, name);
    if (!/[.]new-\\d+$/.test(name) || left === temporary) continue;
    const old = fs.statSync(left, { throwIfNoEntry: false });
    if (old && Date.now() - old.mtimeMs > 3600000) remove(left);
  }
};
const install = (bytes) => {
  if (crypto.createHash("sha256").update(bytes).digest("hex") !== sha256)
    fail("the package is not the one that this script names: it changed on its way, or the " +
      "server was updated meanwhile. Paste the line again.");
  process.on("exit", () => remove(temporary));
  try {
    makeDirectory(temporary);
    removeLeftovers(path.dirname(target));
    unpack(require("zlib").gunzipSync(bytes, { maxOutputLength: limit * 4 }), temporary);
    fs.renameSync(temporary, target);
  } catch (error) {
    if (!fs.existsSync(target))
      fail("cannot write " + target + " (" + error.code + "). Make room or let this user write " +
        "there, or choose another directory with XIM_HOME.");
  }
};
const secure = url.startsWith("https:");
const options = { timeout: 30000, agent: false, rejectUnauthorized: pin === "" };
require(secure ? "https" : "http").get(url, options, (answer) => {
  if (pin !== "") {
    const key = answer.socket.getPeerX509Certificate().publicKey;
    const spki = key.export({ type: "spki", format: "der" });
    const seen = "sha256//" + crypto.createHash("sha256").update(spki).digest("base64");
    if (seen !== pin) fail("the server has another key than the pasted line says");
  }
  if (answer.statusCode !== 200) fail(url + " answered " + answer.statusCode);
  const parts = [];
  let size = 0;
  answer.on("data", (part) => {
    size += part.length;
    if (size > limit) fail("the package is larger than 64 MiB");
    parts.push(part);
  });
  answer.on("aborted", () => fail("the download was cut off"));
  answer.on("end", () => install(Buffer.concat(parts)));
}).on("timeout", () => fail("cannot fetch " + url + ": it says nothing for 30 s"))
  .on("error", (error) => fail("cannot fetch " + url + ": " + error.message));
`;

/** Makes the link (I5). A file system without links is no reason not to run. */
const linker = `
const [link, target] = process.argv.slice(1);
const fs = require("fs"), path = require("path"), temporary = link + ".new-" + process.pid;
try {
  fs.symlinkSync(path.relative(path.dirname(link), target), temporary);
  fs.renameSync(temporary, link);
} catch (error) {
  fs.rmSync(temporary, { force: true });
  console.error("xim: cannot write " + link + " (" + error.code + "). Start it as " + target);
}
`;

/** The text of the script for one server and one package. */
export function installScript(parts: InstallScriptParts): string {
  const { version, sha256 } = parts.package;
  const [major, minor, patch] = minimumNode.split('.');
  const node = nodeArguments.join(' ');
  return `#!/bin/sh
# Installs the XIM agent ${version} for this user and runs it: sh -s -- [options of "xim agent"].
# XIM_HOME chooses the directory (default: ~/.local/share/xim-agent); removing it removes all of it.
set -eu

main() {
  server=${shellQuote(parts.serverUrl)}
  pin=${shellQuote(parts.pin ?? '')}
  sha256=${sha256}

  if ! command -v node >/dev/null 2>&1; then
    echo "xim: there is no node on the PATH. Install Node ${minimumNode} or newer" \\
      "(https://nodejs.org/) and paste the line again." >&2
    exit 1
  fi
  if ! node -e '
    var have = process.versions.node.split(".").map(Number), need = [${major}, ${minor}, ${patch}];
    var at = 0;
    while (at < 2 && have[at] === need[at]) at++;
    process.exit(have[at] >= need[at] ? 0 : 1);
  '; then
    echo "xim: the node on the PATH is $(node --version); the agent needs ${minimumNode} or" \\
      "newer. Install it (https://nodejs.org/) and paste the line again." >&2
    exit 1
  fi

  home="\${XIM_HOME:-}"
  if [ -z "$home" ]; then
    data="\${XDG_DATA_HOME:-}"
    if [ -z "$data" ]; then
      if [ -z "\${HOME:-}" ]; then
        echo "xim: neither HOME nor XIM_HOME is set. Set XIM_HOME to a directory." >&2
        exit 1
      fi
      data="$HOME/.local/share"
    fi
    home="$data/xim-agent"
  fi
  package="$home/versions/${version}-${sha256.slice(0, 12)}"
  program="$package/package/bin/xim"

  if [ ! -e "$program" ]; then
    echo "xim: fetching the agent ${version} from $server" >&2
    node -e '${downloader}' "$server/install/xim.tgz" "$pin" "$sha256" "$package"
  fi

  if [ ! "$home/xim" -ef "$program" ]; then
    node -e '${linker}' "$home/xim" "$program"
  fi

  XIM_HOME="$home"
  export XIM_HOME
  if [ -n "$pin" ]; then
    exec node ${node} "$program" agent --server "$server" --pin "$pin" "$@"
  fi
  exec node ${node} "$program" agent --server "$server" "$@"
}

main "$@"
`;
}
