import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { ESLint } from 'eslint';

const root = fileURLToPath(new URL('../../../', import.meta.url));
/** @type {ESLint} */
let eslint;
before(() => (eslint = new ESLint({ cwd: root, overrideConfigFile: `${root}tests/browser/eslint.config.js` })));

/** @param {import('eslint').ESLint.LintResult[]} results */
function complaints(results) {
  return results.flatMap(({ filePath, messages }) => messages.map(({ line, message }) => `${filePath.slice(root.length)}:${line}: ${message}`));
}

test('the page needs nothing that the browsers of 2023 lack', async () => {
  const results = await eslint.lintFiles(['frontend']);
  assert.deepEqual(complaints(results), []);
  const extensions = new Set(results.map(({ filePath }) => filePath.split('.').at(-1)));
  assert.deepEqual([...extensions].sort(), ['css', 'html', 'js']);
});

test('nor do the values of its custom properties, which no linter looks into', async () => {
  const styles = readFileSync(`${root}frontend/style.css`, 'utf8');
  const values = [...styles.matchAll(/^\s*--[\w-]+:\s*([^;]+);/gm)].map(([, value]) => value);
  assert.ok(values.length > 20);
  const asColours = values.map((value) => `p { color: ${value}; }`).join('\n');
  assert.deepEqual(complaints(await eslint.lintText(asColours, { filePath: `${root}frontend/style.css` })), []);
});

describe('what would need a younger browser is noticed', () => {
  const younger = {
    'frontend/js/words.js': [
      'AbortSignal.any([]);', 'AbortSignal.timeout(1);', 'Promise.withResolvers();', 'Object.groupBy([1], String);',
      "/** @param {HTMLDialogElement} dialog */ (dialog) => dialog.requestClose();", 'document.startViewTransition(() => {});', 'document.body.checkVisibility();',
    ],
    'frontend/style.css': ['p { color: light-dark(red, blue); }', 'p { field-sizing: content; }', '@scope (p) { a { color: red; } }', '@starting-style { p { color: red; } }'],
    'frontend/index.html': ['<p popover>', '<details name="a"></details>'],
    // Not even what all browsers of today know.
    'frontend/js/opening.js': ['const a = 1;', 'f(() => 1);', 'f(1,);', 'f`x`;'],
  };
  for (const [file, snippets] of Object.entries(younger)) {
    for (const snippet of snippets) {
      test(`${file}: ${snippet}`, async () => {
        assert.notDeepEqual(complaints(await eslint.lintText(snippet, { filePath: root + file })), []);
      });
    }
  }
});

test('the page brings the font as its makers published it, and its licence', () => {
  const here = new URL('../../../frontend/fonts/', import.meta.url);
  const published = new URL('../node_modules/@fontsource-variable/inter/', import.meta.url);
  const isSame = (ours, theirs) => readFileSync(new URL(ours, here)).equals(readFileSync(new URL(theirs, published)));
  assert.ok(isSame('inter-latin-wght-normal.woff2', 'files/inter-latin-wght-normal.woff2'));
  assert.ok(isSame('inter-licence.txt', 'LICENSE'));
});
