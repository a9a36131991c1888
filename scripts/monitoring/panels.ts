/** What Grafana's dashboard shows, row by row. Names of metrics are checked against the tables. */

export interface Panel {
  title: string;
  /** One sentence. */
  about: string;
  /** Grafana's name of the unit, e.g. `s`, `reqps`, `percentunit`. */
  unit: string;
  /** Each line: its legend, with labels as `{{name}}`, and its expression. */
  lines: Readonly<Record<string, string>>;
  /** Largest value of the axis. */
  max?: number;
  /** Values that fill the area below them, one upon the other. */
  stacked?: true;
}

export interface PanelRow {
  title: string;
  panels: readonly Panel[];
}

/** Which servers are looked at: the dashboard's variables. */
const where = 'job=~"$job",instance=~"$instance"';

const selector = (name: string, labels = ''): string =>
  `${name}{${where}${labels === '' ? '' : `,${labels}`}}`;

/** Per second, over an interval that Grafana takes from the scrape interval. */
const rate = (name: string, labels = ''): string =>
  `rate(${selector(name, labels)}[$__rate_interval])`;

const sum = (expression: string, by = ''): string =>
  by === '' ? `sum(${expression})` : `sum by (${by}) (${expression})`;

/** Percentiles of a histogram, with one line each. */
function percentiles(name: string, ...shares: number[]): Record<string, string> {
  const buckets = sum(rate(`${name}_bucket`), 'le');
  return Object.fromEntries(
    shares.map((share) => [`p${share * 100}`, `histogram_quantile(${share}, ${buckets})`]),
  );
}

function percentileBy(name: string, share: number, label: string): Record<string, string> {
  const buckets = sum(rate(`${name}_bucket`), `le, ${label}`);
  return { [`p${share * 100} {{${label}}}`]: `histogram_quantile(${share}, ${buckets})` };
}

/** Outcomes that are the platform's fault and not the client's or its project's. */
const failures =
  'queue_timeout|queue_full|no_agent_available|model_loading|upstream_error|stream_error|timeout|' +
  'journal_unavailable|interrupted';

const cached = sum(rate('xim_tokens_total', 'kind="cached_input"'));
const input = sum(rate('xim_tokens_total', 'kind=~"input|cached_input"'));

const requests: PanelRow = {
  title: 'Requests',
  panels: [
    {
      title: 'Requests by outcome',
      about: 'How requests ended, in the one word that log, usage and receipt have, too.',
      unit: 'reqps',
      lines: { '{{outcome}}': sum(rate('xim_requests_total'), 'outcome') },
      stacked: true,
    },
    {
      title: 'Share that failed',
      about: 'Requests that the platform failed, of all that ended.',
      unit: 'percentunit',
      lines: {
        failed:
          `${sum(rate('xim_requests_total', `outcome=~"${failures}"`))} / ` +
          sum(rate('xim_requests_total')),
      },
      max: 1,
    },
    {
      title: 'Who served',
      about: 'Own agents first, shared ones when fallback opens, none where nobody was asked.',
      unit: 'reqps',
      lines: { '{{stage}}': sum(rate('xim_requests_total'), 'stage') },
      stacked: true,
    },
    {
      title: 'Time to the first token',
      about: 'From arrival to the first byte, of streams that were completed.',
      unit: 's',
      lines: percentiles('xim_request_ttft_seconds', 0.5, 0.9, 0.99),
    },
    {
      title: 'Time to the first token by tier',
      about: 'The 90th percentile of each tier.',
      unit: 's',
      lines: percentileBy('xim_request_ttft_seconds', 0.9, 'tier'),
    },
    {
      title: 'Time per output token',
      about: 'After the first one, of streams that were completed.',
      unit: 's',
      lines: percentiles('xim_request_tpot_seconds', 0.5, 0.9, 0.99),
    },
    {
      title: 'Duration',
      about: 'From arrival to the end, of requests that were completed.',
      unit: 's',
      lines: percentiles('xim_request_duration_seconds', 0.5, 0.99),
    },
    {
      title: 'Tokens',
      about: 'Input that was computed, input from a cache, and output.',
      unit: 'short',
      lines: { '{{kind}}': sum(rate('xim_tokens_total'), 'kind') },
    },
    {
      title: 'Input from caches',
      about: 'Share of input tokens that engines did not have to compute.',
      unit: 'percentunit',
      lines: { cached: `${cached} / ${input}` },
      max: 1,
    },
  ],
};

const queue: PanelRow = {
  title: 'Queue and agents',
  panels: [
    {
      title: 'Waiting and running',
      about: 'Requests in the queue, requests that agents serve, and how many may wait.',
      unit: 'short',
      lines: {
        waiting: sum(selector('xim_requests_waiting')),
        running: sum(selector('xim_requests_running')),
        'may wait': sum(selector('xim_requests_waiting_limit')),
      },
    },
    {
      title: 'Time in the queue',
      about: 'Of every request that ended, refused ones included.',
      unit: 's',
      lines: percentiles('xim_request_wait_seconds', 0.5, 0.9, 0.99),
    },
    {
      title: 'Slots in use',
      about: 'Of what linked agents grant.',
      unit: 'short',
      lines: {
        'in use, {{ownership}}': sum(selector('xim_slots_in_use'), 'ownership'),
        'granted, {{ownership}}': sum(selector('xim_slots'), 'ownership'),
      },
    },
    {
      title: 'Room in engines',
      about: 'Tokens of prompts and answers in flight, of those that engines make use of.',
      unit: 'short',
      lines: {
        'in flight': sum(selector('xim_engine_room_used_tokens')),
        'of use': sum(selector('xim_engine_room_tokens')),
      },
    },
    {
      title: 'Agents by state',
      about: 'Agents that are not dead. Only active ones get work.',
      unit: 'short',
      lines: { '{{state}}, {{ownership}}': sum(selector('xim_agents'), 'state, ownership') },
      stacked: true,
    },
    {
      title: 'Links’ round-trip time',
      about: 'Between router and agents.',
      unit: 's',
      lines: percentiles('xim_link_rtt_seconds', 0.5, 0.99),
    },
    {
      title: 'Attempts that failed',
      about: 'Agents or links that broke off; before the first byte another one is tried.',
      unit: 'ops',
      lines: {
        '{{reason}}, {{phase}}': sum(rate('xim_attempt_failures_total'), 'reason, phase'),
        retries: sum(rate('xim_attempts_total', 'try="retry"')),
        hedges: sum(rate('xim_attempts_total', 'try="hedge"')),
        'put aside': sum(rate('xim_penalties_total')),
      },
    },
    {
      title: 'Streams that another agent went on with',
      about: 'By how they ended: completed ones were saved.',
      unit: 'ops',
      lines: { '{{outcome}}': sum(rate('xim_resumed_requests_total'), 'outcome') },
    },
    {
      title: 'Refused by a limit',
      about: 'By the limit of a tier or the quota of a key.',
      unit: 'reqps',
      lines: { '{{limit}}, {{tier}}': sum(rate('xim_limit_refusals_total'), 'limit, tier') },
    },
    {
      title: 'Error of predictions',
      about: 'Mean absolute percentage error of predicted times to the first byte.',
      unit: 'percentunit',
      lines: { '{{instance}}': selector('xim_predictor_mape_ratio') },
    },
    {
      title: 'Coverage of predicted p90',
      about: 'Share of first bytes within their predicted 90th percentile; 90 % is right.',
      unit: 'percentunit',
      lines: { '{{instance}}': selector('xim_predictor_p90_coverage_ratio') },
      max: 1,
    },
  ],
};

const server: PanelRow = {
  title: 'Server',
  panels: [
    {
      title: 'Event loop’s delay',
      about: 'What anything that comes in waits before it is looked at.',
      unit: 's',
      lines: percentiles('xim_event_loop_delay_seconds', 0.5, 0.99),
    },
    {
      title: 'CPU',
      about: 'Cores that the process uses, and the share of time that its event loop is at work.',
      unit: 'short',
      lines: {
        'cores, {{instance}}': rate('process_cpu_seconds_total'),
        'event loop, {{instance}}': rate('xim_event_loop_active_seconds_total'),
      },
    },
    {
      title: 'Memory',
      about: 'What the process holds, and its heap.',
      unit: 'bytes',
      lines: {
        'resident, {{instance}}': selector('process_resident_memory_bytes'),
        'heap, {{instance}}': selector('nodejs_heap_size_used_bytes'),
      },
    },
    {
      title: 'Pauses for collecting garbage',
      about: 'Share of time, by kind.',
      unit: 'percentunit',
      lines: { '{{kind}}': sum(rate('nodejs_gc_duration_seconds_sum'), 'kind') },
    },
    {
      title: 'Database: time of calls',
      about: 'The 99th percentile, by what a call does.',
      unit: 's',
      lines: percentileBy('xim_store_call_seconds', 0.99, 'access'),
    },
    {
      title: 'Database: what takes its time',
      about: 'The five methods that take most of it; failures beside them.',
      unit: 'short',
      lines: {
        '{{method}}': `topk(5, ${sum(rate('xim_store_method_seconds_total'), 'method')})`,
        failures: sum(rate('xim_store_failures_total')),
      },
    },
    {
      title: 'Journal: time of writes',
      about: 'A last byte waits for one of them.',
      unit: 's',
      lines: percentiles('xim_journal_write_seconds', 0.5, 0.99),
    },
    {
      title: 'Journal: what waits',
      about: 'Records that the database does not have yet.',
      unit: 'short',
      lines: { '{{instance}}': selector('xim_journal_undelivered_records') },
    },
    {
      title: 'HTTP answers by status',
      about: 'Of all planes, the dashboard’s included.',
      unit: 'reqps',
      lines: { '{{status}}': sum(rate('xim_http_answers_total'), 'status') },
      stacked: true,
    },
  ],
};

export const panelRows: readonly PanelRow[] = [requests, queue, server];
