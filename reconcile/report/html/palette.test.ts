/** The page can be read: contrast of everything that tells something, in light and in dark. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ColourName, contrast, dark, light, toneNames } from './palette.ts';

/** Text of all sizes: WCAG 2.2 AA, 1.4.3. */
const text: readonly ColourName[] = ['ink', 'muted', 'focus', ...toneNames];
/** What is needed to see a control or a picture: 1.4.11. */
const graphics: readonly ColourName[] = ['edge'];

test('the formula agrees with the examples of WCAG', () => {
  assert.equal(contrast('#000000', '#ffffff'), 21);
  assert.equal(contrast('#777777', '#ffffff').toFixed(2), '4.48');
  assert.equal(contrast('#ffffff', '#777777'), contrast('#777777', '#ffffff'));
});

for (const [name, palette] of Object.entries({ light, dark })) {
  test(`text has a contrast of 4.5 at least, lines of 3: ${name}`, () => {
    for (const behind of ['page', 'panel'] as const) {
      for (const colour of text) {
        const found = contrast(palette[colour], palette[behind]);
        assert.ok(found >= 4.5, `${colour} on ${behind}: ${found.toFixed(2)}`);
      }
    }
    for (const behind of ['page', 'panel', 'strip'] as const) {
      for (const colour of [...graphics, ...toneNames]) {
        const found = contrast(palette[colour], palette[behind]);
        assert.ok(found >= 3, `${colour} on ${behind}: ${found.toFixed(2)}`);
      }
    }
  });
}
