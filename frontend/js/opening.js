// Sees to it that nobody is left alone with "One moment …". The sentence that helps them stands in index.html and shows
// itself after a while, whatever is missing; this shows it at once where it is known that nothing more will come.
//
// In the language and with the means of old browsers, for it has to run where the modules do not. It runs twice: as a
// script of its own, and as the first import of main.js, which by then knows what it found. As a module it runs only when
// all modules are there and fit to each other.

(function () {
  'use strict';

  var root = document.documentElement;

  /** @param {string} id @returns {HTMLElement} */
  function byId(id) {
    return /** @type {HTMLElement} */ (document.getElementById(id));
  }

  function isOutdated() {
    // The youngest of what the page cannot do without; all browsers have had them since 2022.
    return !('noModule' in document.createElement('script')) ||
      typeof BroadcastChannel !== 'function' ||
      typeof Array.prototype.at !== 'function' ||
      typeof HTMLDialogElement !== 'function' ||
      typeof HTMLDialogElement.prototype.showModal !== 'function';
  }

  function show() {
    var section = byId('unavailable');
    byId('loading').hidden = true;
    section.className = section.className.replace('late', '');
    section.hidden = false;
  }

  /** @param {Event} event about a file that did not come, or a module that does not fit to the others */
  function fail(event) {
    if (event.target !== window && !(event.target instanceof HTMLScriptElement)) return;
    whenRead(giveUp);
  }

  /** What failed before there was somebody to hear of it is known when everything has come or failed. */
  function look() {
    if (!root.hasAttribute('data-complete')) giveUp();
  }

  function giveUp() {
    // Once something else is shown the page speaks for itself.
    if (!byId('loading').hidden) show();
  }

  function showOutdated() {
    byId('unavailable-title').textContent = 'This browser is too old';
    byId('unavailable-reason').textContent = 'Longhaul needs Chrome or Edge 120, Firefox 121, Safari 17.2, or a newer one. ' +
      'Update your browser, or use another one.';
    // That would change nothing.
    byId('reload').hidden = true;
    show();
  }

  /** @param {() => void} action on what is at the end of index.html */
  function whenRead(action) {
    if (document.readyState !== 'loading') action();
    else document.addEventListener('readystatechange', action, { once: true });
  }

  if (document.currentScript === null) root.setAttribute('data-complete', '');

  if (isOutdated()) {
    root.setAttribute('data-outdated', '');
    whenRead(showOutdated);
  } else if (!root.hasAttribute('data-watched')) {
    root.setAttribute('data-watched', '');
    window.addEventListener('error', fail, true);
    window.addEventListener('load', look);
  }
}());
