// The fonts that the browsers of the tests see: those of packages, and none of the machine's.

import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const PACKAGES = at('../node_modules/');
const SET_UPS = at('../../../.local/fonts/');

const dejaVu = ['DejaVuSans.ttf', 'DejaVuSans-Bold.ttf'].map((file) => `${PACKAGES}dejavu-fonts-ttf/ttf/${file}`);
const condensed = ['400Regular', '500Medium', '600SemiBold', '700Bold']
  .map((weight) => `${PACKAGES}@expo-google-fonts/roboto-condensed/${weight}/RobotoCondensed_${weight}.ttf`);

/** What a person may see the page in. */
const files = {
  /** The page's own font; what it lacks comes from another one. */
  own: dejaVu,
  /** Only a wide one: the page's own has not come. */
  wide: dejaVu,
  /** Only a narrow one. */
  narrow: condensed,
};

/** @typedef {keyof typeof files} FontSetUp */
export const fontSetUps = /** @type {FontSetUp[]} */ (Object.keys(files));

/** @param {FontSetUp} name @returns {string} the file that fontconfig reads in place of the machine's own */
export function fontconfig(name) {
  const folder = `${SET_UPS}${name}-${process.pid}/`;
  mkdirSync(folder, { recursive: true });
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  for (const file of files[name]) symlinkSync(file, `${folder}${basename(file)}`);
  const file = `${folder}fonts.conf`;
  writeFileSync(file, `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>${folder}</dir><cachedir>${folder}cache</cachedir></fontconfig>
`);
  return file;
}
