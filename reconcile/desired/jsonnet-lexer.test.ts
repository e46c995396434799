import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lexJsonnet } from './jsonnet-lexer.ts';

function kindsAndTexts(text: string): string[] {
  return lexJsonnet(text).map((token) => `${token.kind} ${token.text}`);
}

test('words, strings and the rest are told apart, comments are not tokens', () => {
  assert.deepEqual(kindsAndTexts('local x = "a"; // import "b"\n# "c"\n/* "d" */ x+1'), [
    'word local',
    'word x',
    'other =',
    'string a',
    'other ;',
    'word x',
    'other +',
    'other 1',
  ]);
});

test('strings are decoded as the specification says', () => {
  const cases: Readonly<Record<string, string>> = {
    '"a\\"b"': 'a"b',
    "'it\\'s'": "it's",
    '"\\u002fetc\\n"': '/etc\n',
    '@"c:\\x""y"': 'c:\\x"y',
    "@'a''b'": "a'b",
    '"unterminated': 'unterminated',
    '"a\nb"': 'a\nb',
  };
  for (const [source, text] of Object.entries(cases)) {
    assert.deepEqual(lexJsonnet(source), [{ kind: 'string', offset: 0, text }], source);
  }
});

test('a text block ends where its indentation does', () => {
  const block = '|||\n  import "a"\n\n    |||\n  b\n|||';
  assert.deepEqual(kindsAndTexts(`${block} + import "c"`), [
    `textBlock ${block}`,
    'other +',
    'word import',
    'string c',
  ]);
  assert.equal(lexJsonnet('|||\n  never closed\n').length, 1);
  assert.equal(lexJsonnet('/* never closed').length > 0, true);
});
