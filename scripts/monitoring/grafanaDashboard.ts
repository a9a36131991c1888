/** The panels as Grafana imports them: `docs/monitoring/xim-dashboard.json`. */
import { panelRows, type Panel } from './panels.ts';

const columns = 24;
const panelsPerLine = 3;
const panelHeight = 8;
const datasource = { type: 'prometheus', uid: '${datasource}' };

interface GridPosition {
  h: number;
  w: number;
  x: number;
  y: number;
}

/** Grafana's own shape; `schemaVersion` 39 is what versions since 10.4 read and write. */
export function grafanaDashboard(): Record<string, unknown> {
  return {
    uid: 'xim',
    title: 'XIM',
    description: 'An open inference platform: requests, queue, agents and the server itself.',
    tags: ['xim', 'inference'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-3h', to: 'now' },
    timezone: 'browser',
    annotations: { list: [] },
    links: [],
    templating: { list: [datasourceVariable, ...['job', 'instance'].map(labelVariable)] },
    panels: panels(),
  };
}

const datasourceVariable = {
  name: 'datasource',
  label: 'Prometheus',
  type: 'datasource',
  query: 'prometheus',
  current: {},
  hide: 0,
  options: [],
  refresh: 1,
};

function labelVariable(label: string): Record<string, unknown> {
  const within = label === 'instance' ? '{job=~"$job"}' : '';
  const query = `label_values(xim_build_info${within}, ${label})`;
  return {
    name: label,
    type: 'query',
    datasource,
    definition: query,
    query: { query, refId: label },
    current: {},
    includeAll: true,
    allValue: '.*',
    multi: true,
    hide: 0,
    options: [],
    refresh: 2,
    sort: 1,
  };
}

function panels(): Record<string, unknown>[] {
  const all: Record<string, unknown>[] = [];
  let y = 0;
  for (const { title, panels: ofRow } of panelRows) {
    const id = all.length + 1;
    const gridPos = { h: 1, w: columns, x: 0, y };
    all.push({ id, type: 'row', title, collapsed: false, gridPos, panels: [] });
    y += 1;
    for (const [at, panel] of ofRow.entries()) {
      all.push(panelJson(panel, { id: all.length + 1, gridPos: positionOf(at, y) }));
    }
    y += Math.ceil(ofRow.length / panelsPerLine) * panelHeight;
  }
  return all;
}

function positionOf(at: number, top: number): GridPosition {
  const w = columns / panelsPerLine;
  const line = Math.floor(at / panelsPerLine);
  return { h: panelHeight, w, x: (at % panelsPerLine) * w, y: top + line * panelHeight };
}

function panelJson(
  { title, about, unit, lines, max, stacked }: Panel,
  where: { id: number; gridPos: GridPosition },
): Record<string, unknown> {
  const stacking = { mode: stacked === true ? 'normal' : 'none', group: 'A' };
  const custom = { lineWidth: 1, fillOpacity: stacked === true ? 30 : 5, stacking };
  return {
    ...where,
    type: 'timeseries',
    title,
    description: about,
    datasource,
    fieldConfig: {
      defaults: { unit, min: 0, ...(max === undefined ? {} : { max }), custom },
      overrides: [],
    },
    options: {
      legend: { displayMode: 'list', placement: 'bottom', showLegend: true, calcs: [] },
      tooltip: { mode: 'multi', sort: 'desc' },
    },
    targets: Object.entries(lines).map(([legendFormat, expr], at) => ({
      refId: String.fromCodePoint('A'.codePointAt(0)! + at),
      datasource,
      expr,
      legendFormat,
      editorMode: 'code',
      range: true,
    })),
  };
}
