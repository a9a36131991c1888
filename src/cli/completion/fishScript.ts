/** Completion for fish, with what each word is about. */
import type { Described, Place } from './completionTable.ts';

export function fishScript(places: readonly Place[]): string {
  return `# fish completion of xim. Load it with: xim completion fish | source
function __xim_at
    set -l place
    for token in (commandline -opc)[2..]
        string match -q -- '-*' $token; and break
        set -a place $token
    end
    test "$place" = "$argv[1]"; and return 0
    test "$argv[2]" = command; and string match -q -- "$argv[1] *" "$place"
end

complete -c xim -f
${places.flatMap(linesOf).join('\n')}
`;
}

function linesOf(place: Place): string[] {
  const { path, command, next, flags } = place;
  const at = `-n ${quoted(`__xim_at ${quoted(path)}${command ? ' command' : ''}`)}`;
  return [
    ...next.map(([word, about]) => `complete -c xim ${at} -a ${word} -d ${quoted(about)}`),
    ...flags.map((flag) => flagLine(place, at, flag)),
  ];
}

function flagLine({ values, valued }: Place, at: string, [flag, about]: Described): string {
  const choices = values.get(flag);
  const short = flag === '--output' ? ' -s o' : '';
  const value =
    choices === undefined
      ? valued.includes(flag)
        ? ' -r -F'
        : ''
      : ` -x -a ${quoted(choices.join(' '))}`;
  return `complete -c xim ${at}${short} -l ${flag.slice(2)}${value} -d ${quoted(about)}`;
}

/** In fish a quote is quoted by a backslash, also between quotes. */
function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
