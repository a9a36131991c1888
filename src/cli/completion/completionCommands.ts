/** `xim completion`: what a shell needs to complete command lines. */
import type { Command } from '../command.ts';
import { exitCodes } from '../exitCodes.ts';
import { bashScript } from './bashScript.ts';
import { completionTable, type Place } from './completionTable.ts';
import { fishScript } from './fishScript.ts';
import { zshScript } from './zshScript.ts';

interface Shell {
  name: string;
  script: (places: readonly Place[]) => string;
  /** How to have it always. */
  details: string;
}

const shells: readonly Shell[] = [
  {
    name: 'bash',
    script: bashScript,
    details: 'Put this into ~/.bashrc: source <(xim completion bash)',
  },
  {
    name: 'zsh',
    script: zshScript,
    details: 'Put this into ~/.zshrc, behind compinit: source <(xim completion zsh)',
  },
  {
    name: 'fish',
    script: fishScript,
    details: 'Run this once: xim completion fish > ~/.config/fish/completions/xim.fish',
  },
];

/** `commands` are those of the program, these among them. */
export function createCompletion(commands: () => readonly Command[]): Command[] {
  return shells.map(({ name, script, details }) => ({
    words: ['completion', name],
    summary: `Print what ${name} needs to complete command lines`,
    details,
    options: {},
    run({ terminal }) {
      terminal.out(script(completionTable(commands())));
      return Promise.resolve(exitCodes.done);
    },
  }));
}
