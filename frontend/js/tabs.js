// Word between the tabs of this page in one browser.

/**
 * @typedef {object} Messages
 * @property {null} session-wanted a tab that has just opened asks whether anybody is signed in
 * @property {import('./session.js').Tokens} session
 * @property {null} signed-out
 * @property {{ taskId: string }} task-started
 */

export class Tabs {
  #channel = new BroadcastChannel('longhaul');

  /**
   * @template {keyof Messages} K
   * @param {K} kind
   * @param {Messages[K]} content
   */
  post(kind, content) {
    this.#channel.postMessage({ kind, content });
  }

  /**
   * @template {keyof Messages} K
   * @param {K} kind
   * @param {(content: Messages[K]) => void} handle
   */
  on(kind, handle) {
    this.#channel.addEventListener('message', ({ data }) => data.kind === kind && handle(data.content));
  }
}
