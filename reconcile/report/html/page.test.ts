import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import vm from 'node:vm';
import type { Picture } from './model.ts';
import { picturePage } from './page.ts';
import { pageScript } from './script.ts';

const evil = `</script><script>alert(1)</script><!--\u2028`;

function picture(text: string): Picture {
  return {
    kind: 'plan',
    source: text,
    revision: text,
    made: '2026-03-02T09:30:00.000Z',
    summary: text,
    facts: [[text, text]],
    notices: [text],
    calm: text,
    networks: [text],
    panels: [{ kind: 'VM', ns: text, name: text, is: ['calm'], cables: [{ name: text, is: 'stays', net: 0 }] }],
    runs: [{ at: text, outcome: text, commit: text, what: text, by: text }],
  };
}

function hash(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

test('the policy lets in the one script and the one style, and nothing from anywhere', () => {
  const page = picturePage(picture('fleet'));
  const policy =
    /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1]?.replaceAll('&#39;', "'") ?? '';
  assert.match(policy, /^default-src 'none'; /);
  const style = /<style>([\s\S]*)<\/style>/.exec(page)?.[1] ?? '';
  const script = /<script>([\s\S]*)<\/script>/.exec(page)?.[1] ?? '';
  assert.ok(policy.includes(`script-src '${hash(script)}';`));
  assert.ok(policy.includes(`style-src '${hash(style)}';`));
  assert.doesNotMatch(policy, /unsafe|https?:|\*/);
  assert.doesNotMatch(page, /https?:\/\/|\ssrc=|@import|url\(|\sstyle=|\son[a-z]+=/);
});

test('the same picture gives the same bytes', () => {
  assert.equal(picturePage(picture('fleet')), picturePage(picture('fleet')));
});

test('names that are markup end no element and start none', () => {
  const page = picturePage(picture(evil));
  assert.equal(page.match(/<script/g)?.length, 2);
  assert.equal(page.match(/<\/script/g)?.length, 2);
  assert.ok(!page.includes('<!--'));
  const data = /<script type="application\/json" id="data">([\s\S]*?)<\/script>/.exec(page)?.[1] ?? '';
  assert.doesNotMatch(data, /[<\u2028]/);
  assert.deepEqual(JSON.parse(data), picture(evil));
});

test('the script is one that a browser can read, and holds no end of itself', () => {
  assert.doesNotThrow(() => new vm.Script(pageScript()));
  assert.doesNotMatch(pageScript(), /<\/script|<!--|import\(|fetch\(|XMLHttpRequest|eval\(/);
});
