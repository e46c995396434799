import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawBody, drawHead, escapeHtml, layOut, socketWords } from './draw.ts';
import { type CableState, cableWords, facetWords, type Panel } from './model.ts';
import { pageStyle } from './style.ts';

const states = Object.keys(cableWords) as CableState[];

function panel(more: Partial<Panel> = {}): Panel {
  return { kind: 'VM', ns: 'prod', name: 'db-0', is: ['plug'], cables: [], ...more };
}

test('no cable crosses another: the further right its jack, the higher its row', () => {
  const jacks = [1, 2, 3, 4, 5].map((at) => ({ at, is: 'used' }) as const);
  const cables = [4, 1, 5, 2].map((to) => ({ name: `nic${to}`, is: 'stays', to }) as const);
  const { runs } = layOut({ jacks, cables });
  assert.deepEqual(
    runs.map(({ name }) => name),
    ['nic5', 'nic4', 'nic2', 'nic1'],
  );
  const xs = runs.map(({ x = Number.NaN }) => x);
  assert.deepEqual(
    xs,
    xs.toSorted((a, b) => b - a),
  );
});

test('many ports are drawn closer together', () => {
  const jacks = Array.from({ length: 33 }, (_, index) => ({ at: index + 1, is: 'free' }) as const);
  const { width, size } = layOut({ jacks, cables: [] });
  assert.ok(width < 450, `${width}`);
  assert.ok(size < layOut({ jacks: jacks.slice(0, 8), cables: [] }).size);
});

test('a cable whose port is not known gets a jack that says so, a blocked one that is not plugged gets none', () => {
  const { sockets, runs } = layOut({
    cables: [
      { name: 'storage', is: 'stays', net: 0 },
      { name: 'backup', is: 'blocked', net: 1 },
      { name: 'default', is: 'foreign' },
    ],
  });
  assert.deepEqual(
    sockets.map(({ at, blind }) => [at, blind]),
    [
      [-1, true],
      [-2, true],
    ],
  );
  assert.deepEqual(
    runs.map(({ name, x }) => [name, x === undefined]),
    [
      ['backup', true],
      ['storage', false],
      ['default', false],
    ],
  );
});

test('a jack tells its PCI address and what sits in it', () => {
  assert.equal(
    socketWords({ at: 10, is: 'used', what: 'interface ua-blue' }),
    'port 10 (0000:0a:00.0) used: interface ua-blue',
  );
  assert.equal(socketWords({ at: 3, is: 'free' }), 'port 3 (0000:03:00.0) free');
  assert.equal(socketWords({ at: 4, is: 'taken', what: 'backup' }), 'port 4 (0000:04:00.0) to be used by backup');
  assert.equal(socketWords({ at: -1, is: 'used', blind: true }), 'a port that is not known');
});

test('each state has a sign, a word and, where it is not calm, a line of its own', () => {
  const values = Object.values(cableWords);
  assert.equal(new Set(values.map(({ sign }) => sign)).size, states.length);
  assert.equal(new Set(values.map(({ word }) => word)).size, states.length);
  const lines = states
    .filter((state) => state !== 'stays')
    .map((state) => new RegExp(`\\.cable\\.t-${state}\\{(.*)\\}`).exec(pageStyle)?.[1]);
  assert.ok(!lines.includes(undefined), lines.join());
  const shapes = lines.map((line) => line?.replace(/opacity:1/, ''));
  assert.equal(new Set(shapes).size, shapes.length, shapes.join());
  for (const state of states) {
    const html = drawBody(panel({ cables: [{ name: 'storage', is: state, net: 0 }] }), ['prod/storage-net'], 200);
    assert.ok(html.includes(`${cableWords[state].sign}</span>${cableWords[state].word}`), state);
  }
  for (const { tone } of Object.values(facetWords)) assert.ok(states.includes(tone));
});

test('no text from outside can become markup', () => {
  const evil = `"><img src=x onerror=alert(1)>'\`&lt;`;
  assert.equal(escapeHtml(evil), '&#34;&#62;&#60;img src=x onerror=alert(1)&#62;&#39;&#96;&#38;lt;');
  const all: Panel = {
    kind: 'VM',
    ns: evil,
    name: evil,
    run: evil,
    is: ['blocked'],
    at: evil,
    since: evil,
    jacks: [{ at: 1, is: 'used', what: evil }],
    ports: evil,
    cables: [{ name: evil, is: 'blocked', net: 0, to: 1, mac: evil, say: evil }],
    blocks: [{ code: evil, nic: evil, text: evil, remedy: evil, paste: evil, at: evil }],
    steps: [[evil, evil]],
    notes: [evil],
  };
  for (const html of [drawBody(all, [evil], 200), drawHead(all, evil)]) {
    assert.ok(!/<img|onerror=alert\(1\)>|&lt;/.test(html), html);
    // Tags of ours alone.
    for (const [, tag = ''] of html.matchAll(/<\/?([a-z0-9]+)/g))
      assert.match(tag, /^(svg|g|rect|path|title|ul|ol|li|p|div|span|code|b|button|details|summary|pre)$/);
  }
});

test('what is to be pasted elsewhere is folded, and keeps its lines', () => {
  const block = { code: 'shared-ownership', text: 'kept by Argo CD', paste: 'spec:\n  ignoreDifferences: [<x>]' };
  const html = drawBody(panel({ cables: [], blocks: [block] }), [], 200);
  assert.match(
    html,
    /<details class="paste"><summary>To paste<\/summary><pre>spec:\n {2}ignoreDifferences: \[&#60;x&#62;\]<\/pre>/,
  );
  assert.doesNotMatch(drawBody(panel({ cables: [], blocks: [{ code: 'x', text: 'y' }] }), [], 200), /To paste/);
});
