import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { decode, readRows } from '../../../frontend/js/csv.js';
import { Rows } from '../../../frontend/js/rows.js';
import { formOf } from '../../../frontend/js/schema.js';

const VENDOR = new URL('../../../frontend/vendor/', import.meta.url);
const LIBRARY = readFileSync(new URL('papaparse.min.js', VENDOR));
const papa = createRequire(import.meta.url)('../../../frontend/vendor/papaparse.min.js');

const [{ shape }] = formOf({
  type: 'array',
  items: {
    type: 'object',
    properties: {
      name: { title: 'Name', type: 'string', minLength: 1, maxLength: 10 },
      email: { title: 'E-mail', type: 'string' },
      age: { type: ['integer', 'null'], minimum: 0, maximum: 150 },
    },
    required: ['name', 'email'],
  },
}).fields;

/** @param {string} text of a file @returns {Promise<Rows & { problem: string | null }>} */
async function rowsOf(text) {
  const rows = new Rows(shape.columns);
  let problem;
  const onRow = (cells, hasOpenQuotes) => {
    if (problem === undefined) problem = rows.takeHeadings(cells);
    else if (problem === null) rows.add(cells, hasOpenQuotes);
  };
  await readRows(text, papa, { onRow, pause: async () => {} });
  return Object.assign(rows, { problem });
}

test('CSV is read by Papa Parse as its makers published it, and the browser is told its hash', () => {
  assert.equal(createHash('sha256').update(LIBRARY).digest('hex'), 'e032656b2c709e9a756d5be817da9885d58b2313c43d432c414eb8534a752685');
  const published = new URL('../node_modules/papaparse/', import.meta.url);
  assert.ok(LIBRARY.equals(readFileSync(new URL('papaparse.min.js', published))));
  assert.ok(readFileSync(new URL('papaparse-licence.txt', VENDOR)).equals(readFileSync(new URL('LICENSE', published))));
  const integrity = `sha384-${createHash('sha384').update(LIBRARY).digest('base64')}`;
  assert.ok(readFileSync(new URL('../index.html', VENDOR), 'utf8').includes(`src="vendor/papaparse.min.js" integrity="${integrity}"`));
});

for (const [name, delimiter] of [['commas', ','], ['semicolons', ';'], ['tabs', '\t'], ['bars', '|']]) {
  test(`columns are found by name or title, whatever their capitals and blanks, with ${name}`, async () => {
    const rows = await rowsOf([[' e mail ', 'NAME', 'Phone'], ['a@b.c', 'Ann', '1'], ['', '', ''], ['b@c.d', 'Bo', '2']].map((row) => row.join(delimiter)).join('\r\n'));
    assert.equal(rows.problem, null);
    assert.deepEqual(rows.values, [{ name: 'Ann', email: 'a@b.c' }, { name: 'Bo', email: 'b@c.d' }]);
    assert.deepEqual(rows.unknown, ['Phone']);
    assert.equal(rows.countWrong, 0);
  });
}

test('one row and a line break are enough to tell what is between cells', async () => {
  for (const text of ['E-mail\tName\na@b.c\tAnn\n', 'email;name\n\n\n\na@b.c;Ann\n\n']) assert.deepEqual((await rowsOf(text)).values, [{ name: 'Ann', email: 'a@b.c' }]);
});

test('quotes may hold delimiters and line breaks', async () => {
  const rows = await rowsOf('name,email\n"A, ""B""\nC",a@b.c\n');
  assert.deepEqual(rows.values, [{ name: 'A, "B"\nC', email: 'a@b.c' }]);
});

test('a table without the columns that are needed is told so', async () => {
  assert.equal((await rowsOf('Ann,a@b.c\n')).problem, 'The first row has to name the columns: Name, E-mail and Age.');
  assert.equal((await rowsOf('name,mail\nAnn,a@b.c\n')).problem, 'The first row names no column “E-mail”.');
  assert.equal((await rowsOf('name,email,Name\nAnn,a@b.c,Bo\n')).problem, 'The first row names the column “Name” twice.');
});

test('what is wrong is known by row and column', async () => {
  const rows = await rowsOf('name,email,age\nAnn,a@b.c,7\n,b@c.d,200\nMuch too long,c@d.e\nDi,d@e.f,1,extra\nEd,"e@f.g\n');
  assert.equal(rows.countWrong, 4);
  assert.deepEqual(rows.wrong, [
    [1, [{ column: 'name', text: 'Fill this in.' }, { column: 'age', text: 'Enter 150 or less.' }]],
    [2, [{ column: 'name', text: 'Use 10 characters at most.' }]],
    [3, [{ column: null, text: 'This row has more cells than the first one has headings.' }]],
    [4, [{ column: null, text: 'The quotation marks in this row do not pair up.' }]],
  ]);
  assert.equal(rows.cell(1, 'email'), 'b@c.d');
  rows.forgive();
  rows.complain(0, 'email', 'Rows 1 and 2 have the same value here.');
  assert.deepEqual(rows.wrong, [[0, [{ column: 'email', text: 'Rows 1 and 2 have the same value here.' }]]]);
});

test('10,000 rows come in pieces, and others have a turn in between', async () => {
  const text = `name,email\n${Array.from({ length: 10_000 }, (_, row) => `Ann,ann-number-${row}@example.com`).join('\n')}`;
  const rows = new Rows(shape.columns);
  let turns = 0;
  let hasHeadings = false;
  const onRow = (cells) => {
    if (hasHeadings) rows.add(cells, false);
    else rows.takeHeadings(cells);
    hasHeadings = true;
  };
  await readRows(text, papa, { onRow, pause: async () => void (turns += 1) });
  assert.equal(rows.count, 10_000);
  assert.equal(rows.values[9_999].email, 'ann-number-9999@example.com');
  assert.ok(turns >= 4, `${turns} turns`);
});

test('reading stops when it is not wanted any more', async () => {
  const pause = () => Promise.reject(new Error('another file'));
  await assert.rejects(readRows('a\n'.repeat(100_000), papa, { onRow: () => {}, pause }), /another file/);
});

test('files are read in the encodings that spreadsheets write', () => {
  const text = 'Zoë;ä@b.c';
  const utf16 = (isLittle) => {
    const view = new DataView(new ArrayBuffer(2 * (text.length + 1)));
    [0xfeff, ...[...text].map((character) => character.charCodeAt(0))].forEach((unit, place) => view.setUint16(2 * place, unit, isLittle));
    return view.buffer;
  };
  const bytes = (...values) => Uint8Array.from(values).buffer;
  assert.equal(decode(new TextEncoder().encode(`\ufeff${text}`).buffer), text);
  assert.equal(decode(utf16(true)), text);
  assert.equal(decode(utf16(false)), text);
  assert.equal(decode(bytes(0x5a, 0x6f, 0xeb)), 'Zoë');
  assert.equal(decode(bytes()), '');
});

test('a file of items is read back as what they were given, whatever came of them', async () => {
  const texts = ['=1+1', '+1', '-1', '@a', '\t=1', '\n=1', '＝1', "'=1", "''-1", "'", "'s", 'a=1'];
  // What the API does to a text that a spreadsheet might run.
  const marked = (text) => (/^'*[=+\-@\t\r\n＝＋－＠]/.test(text) ? `'${text}` : text);
  const line = (text, row) => `${row},x,failed,"${marked(text)}","${marked(text)}",,"not, this"`;
  const head = '\uFEFFindex,name,outcome,input.name,input.email,output.name,error';
  const rows = await rowsOf(`${head}\r\n${texts.map(line).join('\r\n')}\r\n`);
  assert.equal(rows.problem, null);
  assert.deepEqual(rows.unknown, []);
  assert.deepEqual(rows.values.map(({ email }) => email), texts);
  assert.equal(rows.cell(0, 'name'), '=1+1');
});

test('apostrophes in a file that somebody made are nobody else’s', async () => {
  const rows = await rowsOf("name,email\n'=1,'-a@b.c\n");
  assert.deepEqual(rows.values, [{ name: "'=1", email: "'-a@b.c" }]);
});
