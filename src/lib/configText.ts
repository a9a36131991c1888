/** What people read of a configuration table: `--help` and the documentation's table. */
import type { ConfigRow, ConfigTable } from './config.ts';
import { formatDuration, formatSize } from './text/quantities.ts';
import { wrapText } from './text/wrapText.ts';

const widthColumns = 100;
const firstColumn = 30;

/**
 * The text of `--help`: usage, what the command does, then every row that has a flag, by group, and
 * the rows that only the environment has.
 */
export function configHelp(table: ConfigTable, about: { usage: string; summary: string }): string {
  const lines = [`Usage: ${about.usage}`, '', ...wrapText(about.summary, widthColumns)];
  for (const [group, rows] of byGroup(table)) {
    lines.push('', `${group}:`);
    for (const row of rows) lines.push(...helpLines(row));
  }
  return `${lines.join('\n')}\n`;
}

function helpLines(row: ConfigRow): string[] {
  const left = `  ${row.flag === undefined ? row.env : `--${row.flag}${placeholder(row)}`}`;
  const facts = [
    ...(row.flag !== undefined && row.env !== undefined ? [row.env] : []),
    ...(saysDefault(row) ? [`default ${defaultText(row)}`] : []),
  ];
  const right = facts.length === 0 ? row.help : `${row.help} [${facts.join('; ')}]`;
  const wrapped = wrapText(right, widthColumns - firstColumn);
  if (left.length >= firstColumn) {
    return [left, ...wrapped.map((line) => ' '.repeat(firstColumn) + line)];
  }
  return wrapped.map((line, n) => (n === 0 ? left : '').padEnd(firstColumn) + line);
}

/** A Markdown table of every row: flag, variable, default, meaning. */
export function configMarkdown(table: ConfigTable): string {
  const lines: string[] = [];
  for (const [group, rows] of byGroup(table)) {
    if (lines.length > 0) lines.push('');
    lines.push(`### ${group}`, '', '| Flag | Variable | Default | Meaning |');
    lines.push('| --- | --- | --- | --- |');
    for (const row of rows) {
      const flag = row.flag === undefined ? '–' : `\`--${row.flag}${placeholder(row)}\``;
      const env = row.env === undefined ? '–' : `\`${row.env}\``;
      const value = saysDefault(row) ? `\`${defaultText(row)}\`` : '–';
      lines.push(`| ${[flag, env, value, row.help].map(escapeCell).join(' | ')} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function byGroup(table: ConfigTable): Map<string, ConfigRow[]> {
  const groups = new Map<string, ConfigRow[]>();
  for (const row of Object.values(table)) {
    const group = row.group ?? 'Options';
    groups.set(group, [...(groups.get(group) ?? []), row]);
  }
  return groups;
}

function placeholder(row: ConfigRow): string {
  if (row.type === 'switch') return '';
  if (row.placeholder !== undefined) return ` ${row.placeholder}`;
  if (row.type === 'choice') return ` ${row.choices.join('|')}`;
  return ` ${row.type.toUpperCase()}`;
}

/** Whether the default is worth a word: "off" and "none" go without saying. */
function saysDefault(row: ConfigRow): boolean {
  if (row.default === undefined || row.secret === true || row.default === false) return false;
  return !(Array.isArray(row.default) && row.default.length === 0);
}

/** The default as a user would write it. */
function defaultText(row: ConfigRow): string {
  const value = row.default;
  if (row.type === 'duration' && typeof value === 'number') return formatDuration(value);
  if (row.type === 'size' && typeof value === 'number') return formatSize(value);
  if (Array.isArray(value)) return value.join(',');
  if (typeof value === 'object') return JSON.stringify(value);
  return value === '' ? 'empty' : String(value);
}

/** A pipe divides cells, so it is written as the entity that shows the same. */
function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|');
}
