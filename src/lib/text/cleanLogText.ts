/**
 * Makes a line of a log fit to be shown to somebody else: secrets are replaced, what a terminal or
 * a page would act on is escaped, the length is bounded. The agent does it to what it sends, and
 * the server again to what it gets, because an agent is an untrusted peer.
 *
 * Invariants
 * K1 Time is linear in the text, whatever is in it: no pattern may look back over what another of
 *    its parts has passed. Repetitions stand last, or are bounded, or end at a character that they
 *    exclude.
 * K2 The result shares no memory with the input: a short piece of a long line keeps no long line
 *    alive.
 */

/** Longest text that is looked at, as a multiple of the longest result. */
const lookAhead = 4;

const mask = '[secret]';

const privateKey =
  /-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|$)/g;
/** A line out of the middle of such a key. */
const privateKeyLine = /^[0-9A-Za-z+/]{64}$/;
/** Join keys, rotation tokens; API keys, whose prefix also begins names of metrics. */
const ownSecret = /(?:xjk|xrt)_[0-9A-Za-z_-]+/g;
const ownApiKey = /xim_[0-9A-Za-z_-]+/g;
/** Access tokens of others that say by their prefix what they are. */
const knownToken = /\b(?:hf_|sk-|ghp_|glpat-)[0-9A-Za-z_-]{16,}/g;
/** Three base64url parts with dots are looked for in these. */
const dotted = /[0-9A-Za-z_.-]{32,}/g;
const bearer = /\b(bearer\s{1,8})[^\s"',;]+/gi;
const words = 'password|passwd|secret|token|api[_-]?key|access[_-]?key';
const assigned = `["']?\\s{0,4}[:=]\\s{0,4}["']?`;
const scheme = '(?:basic|bearer|token)\\s{1,4}';
const header = new RegExp(`\\b(authorization${assigned}(?:${scheme})?)[^\\s"',;]+`, 'gi');
const named = new RegExp(`\\b((?:${words})${assigned})([^\\s"',;&]{4,})`, 'gi');
/** Name and password in a URL. */
const userInfo = /(:\/\/)[^\s/@:]{1,256}:[^\s/@]{1,256}@/g;
/** Control and format characters, line separators, halves of a pair, private use. */
const active = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/gu;

/** Printable ASCII: nothing of the above is in it. */
const plain = /^[ -~]*$/;

/** `text` with its secrets masked and its control characters escaped, at most `maxCharacters`. */
export function cleanLogText(text: string, maxCharacters: number): string {
  const longest = lookAhead * maxCharacters;
  const whole = text.length <= longest ? text : text.slice(0, longest);
  const masked = withoutSecrets(whole);
  const escaped = plain.test(masked) ? masked : masked.replace(active, escapeOf);
  if (escaped.length > maxCharacters) return copyOf(escaped.slice(0, maxCharacters));
  return whole === text ? escaped : copyOf(escaped);
}

/** Looking for a word costs a tenth of trying its pattern at every character. */
function withoutSecrets(text: string): string {
  if (text.length >= 64 && privateKeyLine.test(text.trim())) return mask;
  const lower = text.toLowerCase();
  const has = (...words: string[]): boolean => words.some((word) => lower.includes(word));
  let clean = text;
  if (has('private key')) clean = clean.replace(privateKey, mask);
  if (has('xjk_', 'xrt_')) clean = clean.replace(ownSecret, mask);
  if (has('xim_')) clean = clean.replace(ownApiKey, (word) => (isApiKey(word) ? mask : word));
  if (has('hf_', 'sk-', 'ghp_', 'glpat-')) clean = clean.replace(knownToken, mask);
  if (has('.')) clean = clean.replace(dotted, (word) => (hasSignedToken(word) ? mask : word));
  if (has('authorization')) clean = clean.replace(header, `$1${mask}`);
  if (has('bearer')) clean = clean.replace(bearer, `$1${mask}`);
  if (has('passw', 'secret', 'token', 'key')) clean = clean.replace(named, maskNamed);
  if (has('://') && has('@')) clean = clean.replace(userInfo, `$1${mask}@`);
  return clean;
}

/** A number is no secret of these: `eos token: 151645`. */
function maskNamed(whole: string, name: string, value: string): string {
  return /^\d+$/.test(value) ? whole : `${name}${mask}`;
}

/** `xim_<project>_<random>`: a name of a metric has neither digits nor capitals in its rest. */
function isApiKey(word: string): boolean {
  const rest = word.slice(word.indexOf('_', 'xim_'.length) + 1);
  return rest.length >= 16 && /[0-9A-Z]/.test(rest);
}

function hasSignedToken(word: string): boolean {
  let long = 0;
  for (const part of word.split('.')) {
    long = part.length >= 10 ? long + 1 : 0;
    if (long === 3) return true;
  }
  return false;
}

function escapeOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const hex = code.toString(16).padStart(4, '0');
  return code > 0xffff ? `\\u{${hex}}` : `\\u${hex}`;
}

/** K2: what cuts a string may only point into it. */
function copyOf(text: string): string {
  return Buffer.from(text, 'utf16le').toString('utf16le');
}
