/**
 * `npm run bench -- NAME [--json] [options]`: runs a bench. Lines for a person go to standard
 * error; with `--json` the last line on standard output is one object. Exits with 1 when what was
 * offered did not arrive whole, whatever the figures are: then they say nothing.
 */
import { cancelBench, cancelHelp } from './cancel.ts';
import { controlBench } from './control.ts';
import { controlHelp } from './control/plan.ts';
import { decisionBench, decisionHelp } from './decision.ts';
import { relayBench } from './relay.ts';
import { relayHelp } from './relay/plan.ts';
import { routingBench, routingHelp } from './routing.ts';

interface Bench {
  help: string;
  run(args: readonly string[], tell: (text: string) => void): Promise<Outcome>;
}

interface Outcome {
  report: object;
  /** Everything that was offered arrived. */
  whole: boolean;
}

const benches: Readonly<Record<string, Bench>> = {
  cancel: {
    help: cancelHelp,
    // An abort that does not arrive ends the bench with an error.
    run: async (args, tell) => ({ report: await cancelBench(args, tell), whole: true }),
  },
  control: {
    help: controlHelp,
    // A call that is refused ends the bench with an error.
    run: async (args, tell) => ({ report: await controlBench(args, tell), whole: true }),
  },
  decision: {
    help: decisionHelp,
    run: async (_args, tell) => ({ report: decisionBench(tell), whole: true }),
  },
  relay: {
    help: relayHelp,
    async run(args, tell) {
      const report = await relayBench(args, tell);
      const { failures, disorder, streams } = report;
      const whole = failures === 0 && disorder === 0 && streams.offered_equals_delivered;
      return { report, whole };
    },
  },
  routing: {
    help: routingHelp,
    async run(args, tell) {
      const report = await routingBench(args, tell);
      return { report, whole: report.whole };
    },
  },
};

const tell = (text: string): void => void process.stderr.write(`${text}\n`);
const [name = '', ...args] = process.argv.slice(2);
const bench = benches[name];
if (bench === undefined) {
  tell(`There is no bench '${name}'. Benches: ${Object.keys(benches).join(', ')}.`);
  process.exitCode = 2;
} else if (args.includes('--help')) tell(bench.help);
else {
  try {
    const { report, whole } = await bench.run(args, tell);
    if (args.includes('--json')) process.stdout.write(`${JSON.stringify(report)}\n`);
    if (!whole) process.exitCode = 1;
  } catch (error) {
    tell(`bench ${name}: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
