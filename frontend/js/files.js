// Files that people choose or drop: the button for it, and their text.

import { FILE_BYTES_MAX, decode } from './csv.js';
import { element } from './dom.js';
import * as words from './words.js';

/** How a file begins that is a spreadsheet, and no text: today's are ZIP archives, yesterday's OLE documents. */
const NO_TEXT = [[0x50, 0x4b, 0x03, 0x04], [0xd0, 0xcf, 0x11, 0xe0]];

/**
 * A button that lets choose a file. What browsers have for it cannot be given words or a look.
 *
 * @param {string} accept
 * @param {string} text
 * @param {(file: File) => void} onFile
 */
export function fileButton(accept, text, onFile) {
  const input = element('input', '');
  input.type = 'file';
  input.accept = accept;
  input.hidden = true;
  const button = element('button', 'button small', text);
  button.type = 'button';
  button.addEventListener('click', () => input.click());
  input.addEventListener('change', () => {
    const [file] = input.files ?? [];
    // The same file chosen again, corrected meanwhile, is to be heard of, too.
    if (file) onFile(file);
    input.value = '';
  });
  return { input, button };
}

/** @param {File} file @returns {Promise<{ text: string, problem: string | null }>} */
export async function readText(file) {
  if (file.size > FILE_BYTES_MAX) return { text: '', problem: words.fileTooLarge(FILE_BYTES_MAX) };
  try {
    const bytes = await file.arrayBuffer();
    const beginning = new Uint8Array(bytes.slice(0, 4));
    if (NO_TEXT.some((signature) => signature.every((byte, place) => beginning[place] === byte))) return { text: '', problem: words.NOT_ROWS };
    return { text: decode(bytes), problem: null };
  } catch {
    return { text: '', problem: words.FILE_UNREADABLE };
  }
}
