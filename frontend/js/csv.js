// Reads a file of rows: its characters, and its cells as Papa Parse finds them, a piece at a time, so that whoever types
// meanwhile does not notice.

/**
 * As much of Papa Parse as is used here.
 *
 * @typedef {object} Papa
 * @property {(text: string, options: object) => { meta: { delimiter: string } }} parse
 */

/** @typedef {{ data: string[][], errors: { type: string, row?: number }[] }} Piece */

/** A file that is larger cannot be sent in any way: API Gateway takes requests of up to 10 MB. */
export const FILE_BYTES_MAX = 10 * 1024 * 1024;
/** In characters. On a slow phone one of these takes less than a frame or two. */
const PIECE_LENGTH = 64 * 1024;
/** So many rows tell what is between cells. */
const ROWS_GUESSED_BY = 20;
const DELIMITERS = [',', ';', '\t', '|'];

/**
 * The text of a file. Spreadsheets write UTF-8 with and without a byte order mark, UTF-16, and what Windows had before.
 *
 * @param {ArrayBuffer} bytes
 * @returns {string}
 */
export function decode(bytes) {
  const [first, second] = new Uint8Array(bytes, 0, Math.min(2, bytes.byteLength));
  if (first === 0xff && second === 0xfe) return new TextDecoder('utf-16le').decode(bytes);
  if (first === 0xfe && second === 0xff) return new TextDecoder('utf-16be').decode(bytes);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder('windows-1252').decode(bytes);
  }
}

/**
 * Hands the rows of a text on, those without anything in them left out.
 *
 * @param {string} text
 * @param {Papa} papa
 * @param {{ onRow: (cells: string[], hasOpenQuotes: boolean) => void, pause: () => Promise<unknown> }} options `pause` lets
 *   others have a turn; where it fails, nothing more is read
 * @returns {Promise<void>} when all rows are there
 */
export function readRows(text, papa, { onRow, pause }) {
  // Apart, for rows without anything in them mislead a guess, and whoever leaves them out does not count them.
  const { delimiter } = papa.parse(text.slice(0, PIECE_LENGTH), { preview: ROWS_GUESSED_BY, skipEmptyLines: 'greedy', delimitersToGuess: DELIMITERS }).meta;
  return new Promise((resolve, reject) => {
    papa.parse(text, {
      chunkSize: PIECE_LENGTH,
      delimiter,
      /** @param {Piece} piece @param {{ pause: () => void, resume: () => void, abort: () => void }} parser */
      chunk: ({ data, errors }, parser) => {
        const open = new Set(errors.filter(({ type }) => type === 'Quotes').map(({ row }) => row));
        data.forEach((cells, place) => {
          if (open.has(place) || cells.some((cell) => cell.trim() !== '')) onRow(cells, open.has(place));
        });
        parser.pause();
        pause().then(() => parser.resume(), (error) => {
          // First, for what is aborted is complete.
          reject(error);
          parser.abort();
        });
      },
      complete: () => resolve(),
      error: reject,
    });
  });
}
