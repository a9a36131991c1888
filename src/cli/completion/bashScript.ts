/** Completion for bash (4 and newer). */
import { shellQuote } from '../../api/joinCommand.ts';
import { pathPattern } from './pathPattern.ts';
import type { Place } from './completionTable.ts';

export function bashScript(places: readonly Place[]): string {
  return `# bash completion of xim. Load it with: source <(xim completion bash)
_xim_words() {
  case "$1" in
${places.map((place) => `    ${pathPattern(place)}) echo ${quoted(wordsOf(place))} ;;`).join('\n')}
  esac
}

_xim_values() {
  case "$1 $2" in
${places.flatMap(valueLines).join('\n')}
    *) return 1 ;;
  esac
}

_xim() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" flag="\${COMP_WORDS[COMP_CWORD - 1]}" path= word at
  # The word breaks of bash make three words of --flag=value.
  if [[ $cur == = ]]; then
    cur=
  elif [[ $flag == = ]]; then
    flag="\${COMP_WORDS[COMP_CWORD - 2]}"
  fi
  for ((at = 1; at < COMP_CWORD; at++)); do
    word="\${COMP_WORDS[at]}"
    [[ $word == -* ]] && break
    path="\${path:+$path }$word"
  done
  [[ $flag == -o ]] && flag=--output
  local words
  if words="$(_xim_values "$path" "$flag")"; then
    [[ -n $words ]] || return 0
  else
    words="$(_xim_words "$path")"
    [[ $cur == -* || $words != -* ]] || return 0
  fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}

complete -o default -F _xim xim
`;
}

const quoted = (words: readonly string[]): string => shellQuote(words.join(' '));

const wordsOf = ({ next, flags }: Place): string[] => [...next, ...flags].map(([word]) => word);

/** A flag that takes anything answers with nothing, so that names of files are completed. */
function valueLines({ path, values, valued }: Place): string[] {
  return valued.map((flag) => {
    const patterns = [`'${path} ${flag}'`, `'${path} '*' ${flag}'`].join('|');
    return `    ${patterns}) echo ${quoted(values.get(flag) ?? [])} ;;`;
  });
}
