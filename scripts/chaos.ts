/**
 * `npm run chaos -- --json`: a server, agents and engines as real processes and sockets; each thing
 * that breaks in production is broken on purpose while streams run. Lines for a person go to
 * standard error; with `--json` the last line on standard output is one object. Exits with the
 * verdict. `xim chaos` does to a staging fleet what can be done over its API.
 */
import { parseArgs } from 'node:util';
import { endLeftovers } from '../src/testing/processes/processes.ts';
import { runChaos, scenarioNames } from '../src/testing/chaos/chaosRun.ts';

const help = `npm run chaos -- [--json] [--only NAME,NAME] [--streams 24] [--rounds 3] [--agents 3]
                 [--pieces 60] [--down 25]
Scenarios: ${scenarioNames.join(', ')}.
--down: seconds for which all agents are down before one joins.
`;

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    streams: { type: 'string', default: '24' },
    rounds: { type: 'string', default: '3' },
    agents: { type: 'string', default: '3' },
    pieces: { type: 'string', default: '60' },
    down: { type: 'string', default: '25' },
  },
});
const only = values.only === '' ? [] : values.only.split(',');
const unknown = only.filter((name) => !scenarioNames.includes(name));
if (values.help || unknown.length > 0) {
  process.stderr.write(unknown.length > 0 ? `chaos: unknown: ${unknown.join(', ')}\n` : '');
  process.stderr.write(help);
  process.exitCode = values.help ? 0 : 2;
} else {
  process.on('SIGINT', () => {
    endLeftovers();
    process.exit(130);
  });
  const figures = await runChaos(
    {
      only,
      streams: Number(values.streams),
      rounds: Number(values.rounds),
      agents: Number(values.agents),
      pieces: Number(values.pieces),
      downMs: Number(values.down) * 1000,
    },
    (text) => process.stderr.write(`${text}\n`),
  );
  if (values.json) process.stdout.write(`${JSON.stringify({ chaos: 'local', ...figures })}\n`);
  process.exitCode = figures.passed ? 0 : 1;
}
