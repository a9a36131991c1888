/** Completion for zsh, with what each word is about. */
import { shellQuote } from '../../api/joinCommand.ts';
import type { Described, Place } from './completionTable.ts';
import { pathPattern } from './pathPattern.ts';

export function zshScript(places: readonly Place[]): string {
  return `#compdef xim
# zsh completion of xim. Load it with: source <(xim completion zsh)
_xim_words() {
  case "$1" in
${places.map((place) => `    (${pathPattern(place)}) reply=(${described(place)}) ;;`).join('\n')}
  esac
}

_xim_values() {
  case "$1 $2" in
${places.flatMap(valueLines).join('\n')}
    (*) return 1 ;;
  esac
}

_xim() {
  local -a reply
  local place= flag="\${words[CURRENT - 1]}"
  local -i at
  for ((at = 2; at < CURRENT; at++)); do
    [[ "\${words[at]}" == -* ]] && break
    place="\${place:+$place }\${words[at]}"
  done
  [[ $flag == -o ]] && flag=--output
  if _xim_values "$place" "$flag"; then
    if ((\${#reply})); then compadd -a reply; else _files; fi
    return
  fi
  _xim_words "$place"
  if [[ "\${reply[1]}" == --* && "\${words[CURRENT]}" != -* ]]; then
    _files
  else
    _describe xim reply
  fi
}

compdef _xim xim
`;
}

const described = ({ next, flags }: Place): string => [...next, ...flags].map(pair).join(' ');

const pair = ([word, about]: Described): string => shellQuote(`${word}:${about}`);

function valueLines({ path, values, valued }: Place): string[] {
  return valued.map((flag) => {
    const patterns = [`'${path} ${flag}'`, `'${path} '*' ${flag}'`].join('|');
    return `    (${patterns}) reply=(${(values.get(flag) ?? []).map(shellQuote).join(' ')}) ;;`;
  });
}
