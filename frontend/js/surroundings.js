// The world around the page, as far as waiting cares: its time, and what may happen to it. What waits gets this handed
// in, so that the tests can hand in another one.

import { WakeUp } from './wake-up.js';

/** @import { Clock, Surroundings } from './alarm.js' */

/** @type {Clock} */
export const clock = {
  now: () => Date.now(),
  setTimeout: (callback, ms) => setTimeout(callback, ms),
  clearTimeout: (timer) => clearTimeout(timer),
};

const isHidden = () => document.hidden;
/** @param {() => void} callback */
const onVisibilityChange = (callback) => subscribe(document, 'visibilitychange', callback);
const wakeUp = new WakeUp(clock, { isHidden, onVisibilityChange });

/** @type {Surroundings} */
export const surroundings = {
  isHidden,
  onVisibilityChange,
  onOnline: (callback) => subscribe(window, 'online', callback),
  onOffline: (callback) => subscribe(window, 'offline', callback),
  onWakeUp: (callback) => wakeUp.on(callback),
};

/** @param {EventTarget} target @param {string} type @param {() => void} callback @returns {() => void} */
function subscribe(target, type, callback) {
  target.addEventListener(type, callback);
  return () => target.removeEventListener(type, callback);
}
