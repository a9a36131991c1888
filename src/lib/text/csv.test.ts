import assert from 'node:assert/strict';
import { test } from 'node:test';
import { csvLine } from './csv.ts';

test('a cell with a comma, a quote or a line end breaks its record', () => {
  assert.equal(
    csvLine(['a', 'b,c', 'say "hi"', 'two\nlines']),
    'a,"b,c","say ""hi""","two\nlines"\r\n',
  );
  assert.equal(csvLine([null, undefined, '', 0, false]), ',,,0,false\r\n');
});

test('a name is run as a formula by who opens the file', () => {
  for (const begin of ['=', '+', '-', '@', '\t', '\r']) {
    assert.match(csvLine([`${begin}cmd|' /C calc'!A0`]), /^"?'[=+\-@\t\r]cmd/);
  }
  assert.equal(csvLine(['=HYPERLINK("http://x","y")']), `"'=HYPERLINK(""http://x"",""y"")"\r\n`);
  assert.equal(csvLine([-3, 'a=b']), '-3,a=b\r\n');
});
