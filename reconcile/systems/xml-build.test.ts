import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { buildXml, content, leaf, parent } from './xml-build.ts';
import { parseXml } from './xml-tree.ts';

test('two spaces, single quotes, what is undefined left out', () => {
  const node = parent('a', [leaf('b', { one: 1, none: undefined }), undefined, content('c', 'x & y')], { q: "it's" });
  assert.equal(buildXml(node), "<a q='it&apos;s'>\n  <b one='1'/>\n  <c>x &amp; y</c>\n</a>\n");
  assert.equal(buildXml(parent('a', [])), '<a/>\n');
});

test('any text comes back as it went in', () => {
  const printable = fc.string({ unit: 'grapheme' }).filter((text) => !/[\p{Cc}\p{Cs}\ufffe\uffff]/u.test(text));
  fc.assert(
    fc.property(printable, fc.constantFrom('', '\t', '\n', '\r\n', '\'"<>&', ']]>', '<!--'), (text, spice) => {
      const given = `${spice}${text}${spice}x`;
      const read = parseXml(buildXml(content('a', given, { b: given })));
      assert.ok(read.ok);
      assert.equal(read.root.text, given);
      assert.equal(read.root.attributes.b, given);
    }),
  );
});

test('a character that XML can not carry is refused', () => {
  for (const character of ['\0', '\u001b', '\ufffe', '\ud800']) {
    assert.throws(() => buildXml(leaf('a', { b: `x${character}` })), /XML has no place for U\+/);
  }
});
