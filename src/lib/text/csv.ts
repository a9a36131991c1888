/**
 * Comma-separated values (RFC 4180), for programs and for spreadsheets. A spreadsheet takes a text
 * that begins with one of a few characters for a formula and runs it: such a text gets an
 * apostrophe in front. Numbers are ours and stay as they are.
 */

export type CsvCell = string | number | boolean | null | undefined;

const formulaBegins = /^[=+\-@\t\r]/;
const needsQuotes = /[",\r\n]/;

/** One record with its line end. Nothing is an empty cell. */
export function csvLine(cells: readonly CsvCell[]): string {
  return `${cells.map(cellText).join(',')}\r\n`;
}

function cellText(cell: CsvCell): string {
  if (cell === null || cell === undefined) return '';
  if (typeof cell !== 'string') return String(cell);
  const safe = formulaBegins.test(cell) ? `'${cell}` : cell;
  return needsQuotes.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
