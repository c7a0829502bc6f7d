// Finds the field that a server's message is about.

/** @import { Field } from './schema.js' */

/** What is left of a message's path below its field. @typedef {{ path: string[], text: string }} Message */

/** Where messages stand that are about a request as a whole. */
const WHOLE = 'non_field_errors';

/**
 * @param {Record<string, string[]>} messages by path, such as `contacts.3.email`
 * @param {Field[]} fields
 * @returns {{ placed: Map<Field, Message[]>, rest: string[] }} the rest are messages for the form, as sentences with their
 *   path where it says something
 */
export function place(messages, fields) {
  /** @type {Map<Field, Message[]>} */
  const placed = new Map();
  /** @type {string[]} */
  const rest = [];
  // The longest name first: names may have full stops, too. A field without one is the whole request.
  const byLength = [...fields].sort((one, other) => other.name.length - one.name.length);
  for (const [path, texts] of Object.entries(messages)) {
    const field = byLength.find(({ name }) => name === '' || path === name || path.startsWith(`${name}.`));
    if (!field) {
      rest.push(...texts.map((text) => (path === WHOLE ? text : `${path}: ${text}`)));
      continue;
    }
    const inField = field.name === '' ? path : path.slice(field.name.length + 1);
    const below = inField === '' || path === WHOLE ? [] : inField.split('.');
    placed.set(field, [...(placed.get(field) ?? []), ...texts.map((text) => ({ path: below, text }))]);
  }
  return { placed, rest };
}
