/**
 * Schemathesis, the fuzzer of OpenAPI descriptions (PyPI), in a Python environment of its own below
 * `build/`. Where there is no Python, or it cannot be brought, a proof skips with the reason.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { repository } from '../processes/processes.ts';
import { pythonPackage } from '../processes/pythonPackage.ts';

const version = '4.32.5';
const program = path.join(repository, 'build', `schemathesis-${version}`, 'bin', 'schemathesis');

/** Undefined: it is there; otherwise why not. */
export function bringSchemathesis(): string | undefined {
  const brought = pythonPackage('schemathesis', version);
  return brought.kind === 'found' ? undefined : brought.reason;
}

export interface FuzzPass {
  name: string;
  baseUrl: string;
  /** Sent with every call. */
  headers: Readonly<Record<string, string>>;
  /**
   * Values of parameters that lead to things that are there, by `path.<name>`; of all operations
   * whose path fits the expression.
   */
  things: readonly { paths: string; parameters: Readonly<Record<string, string>> }[];
  /** Further arguments, e.g. which operations. */
  select: readonly string[];
}

export interface FuzzOutcome {
  name: string;
  passed: boolean;
  operations: number;
  /** Operations that answered at least one right call with success. */
  accepted: number;
  calls: number;
  /** Findings, or the last lines of what it printed when it did not get that far. */
  findings: string[];
}

/**
 * What the platform answers that the fuzzer would not expect: ranges are the use-case's and told in
 * its refusal, not in the schema; an address that is too long is a 431.
 */
const configuration = `
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", "400", "401", "403", "404", "409", "413", "429", "431"]

[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "409", "413", "429", "431"]
`;

/** One run over some operations of `docs/openapi.json`; files go into `directory`. */
export async function fuzz(
  pass: FuzzPass,
  options: { directory: string; examples: number; seed: number; phases: string },
): Promise<FuzzOutcome> {
  const { directory, examples, seed, phases } = options;
  const things = pass.things.map(({ paths, parameters }) => {
    const values = Object.entries(parameters).map(
      ([name, value]) => `${JSON.stringify(name)} = ${JSON.stringify(value)}`,
    );
    const where = `include-path-regex = ${JSON.stringify(paths)}`;
    return `[[operations]]\n${where}\nparameters = { ${values.join(', ')} }\n`;
  });
  const file = path.join(directory, 'schemathesis.toml');
  writeFileSync(file, `${things.join('\n')}${configuration}`);
  const report = path.join(directory, `${pass.name}.json`);
  const settings = {
    url: pass.baseUrl,
    'max-examples': String(examples),
    seed: String(seed),
    // Its coverage phase is not safe in several threads of this Python.
    workers: '1',
    phases,
    'request-timeout': '30',
    'generation-with-security-parameters': 'false',
    // What is sent is fixed by the headers; taking it away is what the access matrix is for.
    'exclude-checks': 'ignored_auth,use_after_free,ensure_resource_availability',
    warnings: 'off',
    report: 'json',
    'report-json-path': report,
  };
  const { output } = await run(
    [
      'run',
      path.join(repository, 'docs', 'openapi.json'),
      '--no-color',
      ...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
      ...Object.entries(pass.headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]),
      ...pass.select,
    ],
    directory,
  );
  return outcomeOf(pass.name, report, output);
}

function run(args: readonly string[], directory: string): Promise<{ output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    }
    child.on('error', reject);
    child.on('close', () => resolve({ output }));
  });
}

/** What is read of the fuzzer's report. */
interface Report {
  complete: boolean;
  operations: { tested: number; errored: number };
  test_cases: { generated: number };
  failures: unknown[];
  errors: unknown[];
  valid_rates: Record<string, Record<string, { accepted: number }>>;
}

function outcomeOf(name: string, file: string, output: string): FuzzOutcome {
  writeFileSync(file.replace('.json', '.txt'), output);
  if (!existsSync(file)) {
    const findings = output.trim().split('\n').slice(-5);
    return { name, passed: false, operations: 0, accepted: 0, calls: 0, findings };
  }
  const report = JSON.parse(readFileSync(file, 'utf8')) as Report;
  const summary = output.slice(output.lastIndexOf('= SUMMARY ='));
  const findings = [...summary.matchAll(/❌ (ST\d+ .+)/g)].map(([, line]) => line ?? '');
  if (report.errors.length > 0) findings.push(`${report.errors.length} errors of the fuzzer`);
  if (!report.complete) findings.push('did not end');
  const rates = Object.values(report.valid_rates);
  return {
    name,
    passed: report.failures.length === 0 && findings.length === 0,
    operations: report.operations.tested,
    accepted: rates.filter((rate) => Object.values(rate).some(({ accepted }) => accepted > 0))
      .length,
    calls: report.test_cases.generated,
    findings,
  };
}
