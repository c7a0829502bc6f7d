import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Glide } from '../../../frontend/js/glide.js';

test('it moves evenly and arrives when the next truth is due', () => {
  const glide = new Glide();
  glide.moveTo(10, 1_000, 0);
  assert.equal(glide.at(0), 0);
  assert.equal(glide.at(500), 5);
  assert.equal(glide.at(1_000), 10);
  assert.equal(glide.hasArrived(1_000), true);
});

test('it never runs ahead of the truth and never turns back, whatever comes in whenever', () => {
  // A fixed sequence of pseudo-random numbers: a failure can be repeated.
  let seed = 7;
  const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
  for (let run = 0; run < 200; run += 1) {
    const glide = new Glide();
    let now = 0;
    let truth = 0;
    let shown = 0;
    for (let step = 0; step < 100; step += 1) {
      now += random() * 400;
      if (random() < 0.3) {
        const told = truth + Math.round(random() * 20) - 5;
        truth = Math.max(truth, told);
        glide.moveTo(told, random() * 3_000, now);
      }
      const next = glide.at(now);
      assert.ok(next >= shown, `turned back from ${shown} to ${next}`);
      assert.ok(next <= truth, `ran ahead of ${truth} to ${next}`);
      shown = next;
    }
    assert.equal(glide.at(now + 10_000), truth, 'it arrives in the end');
  }
});

test('the same truth again does not slow it down, but a nearer goal speeds it up', () => {
  const glide = new Glide();
  glide.moveTo(10, 1_000, 0);
  glide.moveTo(10, 5_000, 500);
  assert.equal(glide.at(1_000), 10);
  glide.moveTo(20, 10_000, 1_000);
  glide.moveTo(20, 500, 2_000);
  assert.equal(glide.at(2_500), 20);
});

test('without a duration it jumps, for people who want less motion', () => {
  const glide = new Glide();
  glide.moveTo(7, 0, 100);
  assert.equal(glide.at(100), 7);
});
