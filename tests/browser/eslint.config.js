// Holds the page to the browsers that the README names. Nothing else is checked here. Run from the repository's root, by
// unit/browsers.test.js.

import css from '@eslint/css';
import html from '@html-eslint/eslint-plugin';
import parser from '@typescript-eslint/parser';
import baseline from 'eslint-plugin-baseline-js';

/** Every feature that all browsers had by the end of that year: https://web.dev/baseline. */
const available = 2023;

/** Without these a browser shows the page a little less well, and that is all. */
const embellishments = ['text-size-adjust', 'text-wrap', 'overscroll-behavior', 'forced-color-adjust', 'accent-color', 'resize'];

/** Somebody else's: types are nothing that it knows of. */
const vendored = 'frontend/vendor/**/*.js';

/** It has to run where nothing else of the page does, to say so. */
const everywhere = 'frontend/js/opening.js';

export default [
  { linterOptions: { noInlineConfig: true } },
  { plugins: { 'baseline-js': baseline, css, html } },
  {
    ...baseline.configs['recommended-ts']({ available, level: 'error' }),
    files: ['frontend/**/*.js'],
    ignores: [everywhere, vendored],
    languageOptions: { parser, parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname } },
  },
  { ...baseline.configs.recommended({ available, level: 'error' }), files: [vendored] },
  { files: [everywhere], languageOptions: { ecmaVersion: 5, sourceType: 'script' } },
  { files: ['frontend/**/*.css'], language: 'css/css', rules: { 'css/use-baseline': ['error', { available, allowProperties: embellishments }] } },
  { files: ['frontend/**/*.html'], language: 'html/html', rules: { 'html/use-baseline': ['error', { available }] } },
];
