// The form for a request: which job, where there is a choice, and the fields that the job's schema asks for.

import { ChoiceControl, FlagControl, JsonControl, LinesControl, TypedControl, radioList } from './controls.js';
import { byId, element, setText } from './dom.js';
import { place } from './placing.js';
import { RowsControl } from './rows-control.js';
import { formOf } from './schema.js';
import { toJson } from './values.js';

/** @import { Job } from './api.js' */
/** @import { Control } from './controls.js' */
/** @import { Field, FieldOf } from './schema.js' */

/**
 * What is asked for.
 *
 * @typedef {object} Request
 * @property {string} job
 * @property {string} body
 * @property {number | null} size the number of items, as far as a form can tell
 */

/** The form of one job; it stays as it was filled in while another one is looked at. */
class JobForm {
  /** @type {Control[]} */ controls;
  #isWhole;
  #isNothing;

  /** @param {Job} job @param {string} id @param {number} itemsMax */
  constructor(job, id, itemsMax) {
    this.job = job;
    const { isWhole, fields } = formOf(job.request, itemsMax);
    this.#isWhole = isWhole;
    this.#isNothing = isWhole && fields.length === 0;
    this.controls = fields.map((field, place) => controlFor(field, `${id}-field-${place + 1}`, fields.length === 1, isWhole));
    this.root = element('div', 'fields', ...this.controls.map(({ root }) => root));
  }

  /** @returns {Request | null} null where something is wrong; it is shown by then */
  read() {
    const readings = this.controls.map((control) => ({ control, ...control.read() }));
    const wrong = readings.find(({ problem }) => problem !== null);
    if (wrong) {
      wrong.control.focus();
      return null;
    }
    const named = Object.fromEntries(readings.map(({ control, value }) => [control.field.name, value]));
    const whole = this.#isNothing ? null : readings[0]?.value;
    const size = this.controls.length === 1 ? (this.controls[0]?.size() ?? null) : null;
    return { job: this.job.name, body: toJson(this.#isWhole ? whole : named), size };
  }

  /** @param {Record<string, string[]>} messages @returns {{ rest: string[], first: Control | undefined }} */
  complain(messages) {
    const { placed, rest } = place(messages, this.controls.map(({ field }) => field));
    const told = this.controls.filter(({ field }) => placed.has(field));
    for (const control of told) control.complain(placed.get(control.field) ?? []);
    return { rest, first: told[0] };
  }

  /** The only field that takes files, if there is one. */
  get taker() {
    const takers = this.controls.filter(({ take }) => take);
    return takers.length === 1 ? takers[0] : undefined;
  }
}

export class RequestForm {
  #jobsRoot = byId('start-jobs', HTMLElement);
  #fieldsRoot = byId('start-fields', HTMLElement);
  #title = byId('start-title', HTMLElement);
  #lead = byId('start-lead', HTMLElement);
  #work = byId('work', HTMLElement);
  /** What is said of every task. */
  #usual = { title: this.#title.textContent ?? '', lead: this.#lead.textContent ?? '' };
  /** @type {Map<string, JobForm>} */ #forms = new Map();
  /** @type {JobForm | null} */ #shown = null;
  #onChange;

  /** @param {() => void} onChange told when something is filled in or another job is chosen */
  constructor(onChange) {
    this.#onChange = onChange;
    this.#fieldsRoot.addEventListener('input', onChange);
    this.#listenForFiles();
  }

  /** Makes the forms of these jobs. @param {Job[]} jobs @param {number} itemsMax the most that a task may have */
  show(jobs, itemsMax) {
    this.clear();
    jobs.forEach((job, place) => this.#forms.set(job.name, new JobForm(job, `job-${place + 1}`, itemsMax)));
    const [first] = jobs;
    if (jobs.length > 1) this.#offer(jobs);
    setText(this.#title, jobs.length === 1 && first ? first.title : this.#usual.title);
    setText(this.#lead, [jobs.length === 1 && first ? first.description : '', this.#usual.lead].join(' ').trim());
    if (first) this.#choose(first.name);
  }

  /** Forgets everything: somebody else may sign in next. */
  clear() {
    for (const { controls } of this.#forms.values()) controls.forEach((control) => control.forget?.());
    this.#forms.clear();
    this.#shown = null;
    this.#jobsRoot.replaceChildren();
    this.#fieldsRoot.replaceChildren();
  }

  /** @returns {Request | null} null where something is wrong, and then the focus is on it */
  read() {
    return this.#shown?.read() ?? null;
  }

  /**
   * Shows what the server says, each message at its field, and puts the focus on the first one of those.
   *
   * @param {Record<string, string[]>} messages by path
   * @returns {{ rest: string[], isPlaced: boolean }} what no field is about, and whether anything else was
   */
  complain(messages) {
    const { rest, first } = this.#shown?.complain(messages) ?? { rest: [], first: undefined };
    first?.focus();
    return { rest, isPlaced: first !== undefined };
  }

  /** Where one begins to fill it in. */
  focus() {
    this.#shown?.controls[0]?.focus();
  }

  /** @param {boolean} isReadOnly */
  setReadOnly(isReadOnly) {
    for (const control of this.#shown?.controls ?? []) control.setReadOnly(isReadOnly);
    for (const radio of this.#jobsRoot.querySelectorAll('input')) radio.disabled = isReadOnly && !radio.checked;
  }

  /** @param {Job[]} jobs */
  #offer(jobs) {
    const { root, radios } = radioList('job', jobs.map(({ title, description }) => ({ title, hint: description })), 0);
    radios.forEach((radio, place) => radio.addEventListener('change', () => this.#choose(jobs[place]?.name ?? '')));
    this.#jobsRoot.replaceChildren(element('fieldset', 'field', element('legend', 'visually-hidden', 'Which task'), root));
  }

  /** @param {string} name */
  #choose(name) {
    this.#shown = this.#forms.get(name) ?? null;
    this.#fieldsRoot.replaceChildren(...(this.#shown ? [this.#shown.root] : []));
    this.#onChange();
  }

  /** A file may be dropped anywhere on the card, and rows be pasted; a file beside it does not take the page away. */
  #listenForFiles() {
    const hasFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes('Files') ?? false;
    const isSeen = () => this.#fieldsRoot.getClientRects().length > 0;
    window.addEventListener('dragover', (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      const control = this.#takerAt(event.target);
      if (event.dataTransfer) event.dataTransfer.dropEffect = control ? 'copy' : 'none';
      this.#mark(control);
    });
    window.addEventListener('dragleave', (event) => event.relatedTarget === null && this.#mark(undefined));
    window.addEventListener('drop', (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      this.#mark(undefined);
      const [file] = event.dataTransfer?.files ?? [];
      if (file) this.#takerAt(event.target)?.take?.(file);
    });
    document.addEventListener('paste', (event) => {
      const isTyped = event.target instanceof Element && event.target.matches('input:not([type=radio], [type=checkbox]), textarea');
      const text = event.clipboardData?.getData('text/plain') ?? '';
      const file = event.clipboardData?.files[0];
      if (isTyped || !isSeen()) return;
      if (file && text === '') this.#shown?.taker?.take?.(file);
      else if (text.trim() !== '') this.#shown?.taker?.paste?.(text);
    });
  }

  /** @param {EventTarget | null} target @returns {Control | undefined} what a file that is dropped there is for */
  #takerAt(target) {
    if (!(target instanceof Node) || this.#fieldsRoot.getClientRects().length === 0) return undefined;
    const at = this.#shown?.controls.find((control) => control.take && control.root.contains(target));
    return at ?? (this.#work.contains(target) ? this.#shown?.taker : undefined);
  }

  /** @param {Control | undefined} control that a file is held over */
  #mark(control) {
    for (const each of this.#shown?.controls ?? []) each.root.classList.toggle('is-over', each === control);
  }
}

/** @param {Field} field @param {string} id @param {boolean} isOnly @param {boolean} isWhole @returns {Control} */
function controlFor(field, id, isOnly, isWhole) {
  const { shape } = field;
  switch (shape.kind) {
    case 'number':
    case 'text':
      return new TypedControl(/** @type {FieldOf<any>} */ (field), id, isOnly);
    case 'choice':
      return new ChoiceControl(field, shape.options, id);
    case 'flag':
      // A box has two states; where nothing may be said either, that is a third one.
      if (field.isNullable) return new ChoiceControl(field, [{ value: true, title: 'Yes', hint: '' }, { value: false, title: 'No', hint: '' }], id);
      return new FlagControl(field, id);
    case 'lines':
      return new LinesControl(/** @type {FieldOf<any>} */ (field), id);
    case 'rows':
      return new RowsControl(/** @type {FieldOf<any>} */ (field), id);
    default:
      return new JsonControl(field, id, isWhole);
  }
}
