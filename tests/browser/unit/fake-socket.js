// A socket whose server is the test.

export class FakeSocket {
  readyState = 0;
  sent = [];
  onopen = null;
  onmessage = null;
  onclose = null;

  /** @param {string} url */
  constructor(url) {
    this.url = url;
  }

  /** @param {string} text */
  send(text) {
    if (this.readyState !== 1) throw new DOMException('not open', 'InvalidStateError');
    this.sent.push(JSON.parse(text));
  }

  /** By the page. As with a real one, its server answers later, or never. */
  close() {
    this.wasClosedWhile ??= ['connecting', 'open', 'closing', 'closed'][this.readyState];
    this.readyState = 2;
  }

  /** The handshake is done. */
  accept() {
    this.readyState = 1;
    this.onopen?.();
  }

  /** By the server or the network; before the handshake is done it means that it was refused. */
  die() {
    this.readyState = 3;
    this.onclose?.();
  }

  /** @param {unknown} message */
  says(message) {
    this.onmessage?.({ data: typeof message === 'string' ? message : JSON.stringify(message) });
  }

  /** @param {number} version @param {object} [task] */
  tells(version, task = {}) {
    this.says({ type: 'task', version, data: { task_id: 't', task_status: 'PROCESSING', ...task, version } });
  }
}
