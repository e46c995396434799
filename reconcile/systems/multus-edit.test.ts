import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { recordings } from '../../test/recordings.ts';
import { type EditedNetworks, editNetworks, type NetworksEdit, readElements } from './multus-edit.ts';
import { networksParsers } from './multus-networks.ts';

const blue = { namespace: 'ns', name: 'blue', interface: 'net1' };
const red = { namespace: 'ns', name: 'red', interface: 'net2' };
const json = (...elements: readonly object[]) => JSON.stringify(elements);

interface Row {
  readonly what: string;
  readonly raw: string | undefined;
  readonly edit: NetworksEdit;
  /** Undefined: the annotation goes. */
  readonly value?: string;
  readonly refused?: RegExp;
}

const addRed: NetworksEdit = { kind: 'add', element: red };
const dropBlue: NetworksEdit = { kind: 'remove', elements: [blue] };
const repairOf = (name: string, iface = 'net1', index = 0): NetworksEdit => ({
  kind: 'repair',
  elements: [{ index, network: { namespace: 'ns', name }, interface: iface }],
});
const first = repairOf('blue');
const written = '{"name":"red","namespace":"ns","interface":"net2"}';

const rows: readonly Row[] = [
  { what: 'the first element of a pod', raw: undefined, edit: addRed, value: `[${written}]` },
  { what: 'an empty value is none', raw: '', edit: addRed, value: `[${written}]` },
  { what: 'an empty list', raw: ' [ ] ', edit: addRed, value: ` [${written}] ` },
  {
    what: 'address and MAC in the order of the Go structs',
    raw: undefined,
    edit: { kind: 'add', element: { ...red, mac: '02:00:00:00:00:01', ips: ['192.0.2.7/24'] } },
    value: '[{"name":"red","namespace":"ns","ips":["192.0.2.7/24"],"mac":"02:00:00:00:00:01","interface":"net2"}]',
  },
  {
    what: 'bytes of others stay as they are',
    raw: '\n[ {"name" :"b", "interface":"x1", "a.b/c": [1.50, "],[\\""] }\n]\n',
    edit: addRed,
    value: `\n[ {"name" :"b", "interface":"x1", "a.b/c": [1.50, "],[\\""] }\n,${written}]\n`,
  },
  {
    what: 'the short form becomes JSON, since it can not say more',
    raw: 'blue@net1, other/green',
    edit: addRed,
    value: `[{"name":"blue","namespace":"ns","interface":"net1"},{"name":"green","namespace":"other"},${written}]`,
  },
  { what: 'a short form loses an element as it stands', raw: 'a@x , ns/blue@net1,b', edit: dropBlue, value: 'a@x ,b' },
  {
    what: 'what is left of a short form would read as none',
    raw: 'blue@net1,',
    edit: dropBlue,
    value: '[{"name":"","namespace":"ns"}]',
  },
  { what: 'the last element takes the annotation with it', raw: json(blue), edit: dropBlue },
  { what: 'the same from the short form', raw: 'blue@net1', edit: dropBlue },
  {
    what: 'an element in the middle',
    raw: `[ {"name":"a"} , ${json(blue).slice(1, -1)},{"name":"b"}]`,
    edit: dropBlue,
    value: '[ {"name":"a"} ,{"name":"b"}]',
  },
  { what: 'one that is not there', raw: json(red), edit: dropBlue, value: json(red) },
  {
    what: 'one of another interface stays',
    raw: json({ ...blue, interface: 'net9' }),
    edit: dropBlue,
    value: json({ ...blue, interface: 'net9' }),
  },
  {
    what: 'a repair of JSON',
    raw: '[ { "name": "blue" } ]',
    edit: first,
    value: '[ { "name": "blue","interface":"net1" } ]',
  },
  {
    what: 'a repair of an empty name',
    raw: '[{"interface":"","name":"b"}]',
    edit: repairOf('b'),
    value: '[{"interface":"","name":"b","interface":"net1"}]',
  },
  { what: 'a repair of an element without keys', raw: '[{}]', edit: repairOf(''), value: '[{"interface":"net1"}]' },
  { what: 'a repair of the short form', raw: 'blue ,red', edit: first, value: 'blue@net1 ,red' },
  { what: 'a repair after a bare @', raw: 'blue@', edit: first, value: 'blue@net1' },
  {
    what: 'a repair by a name that the short form can not say',
    raw: 'blue',
    edit: repairOf('blue', 'Net_1'),
    value: '[{"name":"blue","namespace":"ns","interface":"Net_1"}]',
  },
  { what: 'a kick of nothing', raw: undefined, edit: { kind: 'kick' }, value: '[]' },
  { what: 'a kick', raw: '[]', edit: { kind: 'kick' }, value: '[] ' },
  { what: 'a second kick', raw: '[] ', edit: { kind: 'kick' }, value: '[]' },
  { what: 'a kick of a space, which is an element', raw: ' ', edit: { kind: 'kick' }, value: '  ' },
  { what: 'an interface that is taken', raw: 'green@net2', edit: addRed, refused: /ns\/green already has .*"net2"/ },
  { what: 'no JSON', raw: '[{]', edit: addRed, refused: /invalid character/ },
  { what: 'what crashes the parsers', raw: '[null]', edit: dropBlue, refused: /null/ },
  {
    what: 'an interface that the controller does not parse',
    raw: 'blue@my_if',
    edit: addRed,
    refused: /mismatch @ 'my_if'/,
  },
  {
    what: 'a MAC that is none',
    raw: undefined,
    edit: { kind: 'add', element: { ...red, mac: 'x' } },
    refused: /other elements/,
  },
  { what: 'a repair of what has an interface', raw: 'blue@net2', edit: first, refused: /element 1/ },
  { what: 'a repair that was done', raw: 'blue@net1', edit: first, value: 'blue@net1' },
  { what: 'a repair of what moved', raw: 'red,blue', edit: first, refused: /element 1 is not that of ns\/blue/ },
  { what: 'a repair of what is not there', raw: undefined, edit: first, refused: /element 1/ },
];

for (const { what, raw, edit, value, refused } of rows) {
  test(what, () => {
    const edited = editNetworks(raw, 'ns', edit);
    if (refused === undefined) assert.deepEqual(edited, { ok: true, value });
    else assert.match(edited.ok ? 'it was edited' : edited.reason, refused);
  });
}

/** Keys and values that any writer may have left there. */
const key = fc.constantFrom('name', 'namespace', 'interface', 'Interface', 'mac', 'ips', 'interfaceRequest', 'a.b/c');
const text = fc.constantFrom('blue', 'red', 'ns', 'net1', 'net2', '', '02:00:00:00:00:01', '],[{', '\\"', 'é\u0085');
const space = fc.constantFrom('', ' ', '\n  ', '\t');
const item = fc
  .tuple(fc.array(fc.tuple(key, fc.oneof(text, text, fc.jsonValue({ maxDepth: 2 })), space), { maxLength: 5 }), space)
  .map(([entries, end]) => {
    const members = entries.map(([name, is, gap]) => `${gap}${JSON.stringify(name)}${gap}:${JSON.stringify(is)}`);
    return `{${members.join(',')}${end}}`;
  });
const jsonList = fc
  .tuple(fc.array(item, { maxLength: 4 }), space)
  .map(([items, gap]) => ({ raw: `${gap}[${items.map((one) => gap + one + gap).join(',')}${gap}]${gap}`, items }));
const shortItems = [
  'blue',
  ' red@net2',
  'ns/blue@net1 ',
  'x@',
  '',
  ' ',
  'a/b/c',
  'my@my_if',
  'b@a-very-long-interface',
];
const shortForm = fc.array(fc.constantFrom(...shortItems), { maxLength: 4 }).map((items) => items.join(','));

const elementKey = fc.record(
  {
    namespace: fc.constantFrom('ns', 'other'),
    name: fc.constantFrom('blue', 'red', 'x'),
    interface: fc.constantFrom('net1', 'net2', 'net9'),
  },
  { noNullPrototype: true },
);
const edits: fc.Arbitrary<NetworksEdit> = fc.oneof(
  elementKey.map((element): NetworksEdit => ({ kind: 'add', element })),
  fc.array(elementKey, { maxLength: 3 }).map((elements): NetworksEdit => ({ kind: 'remove', elements })),
  fc.tuple(elementKey, fc.nat({ max: 3 })).map(
    ([{ namespace, name }, index]): NetworksEdit => ({
      kind: 'repair',
      elements: [{ index, network: { namespace, name }, interface: 'net9' }],
    }),
  ),
  fc.constant<NetworksEdit>({ kind: 'kick' }),
);

/** Positions of the elements that the edit must leave alone; undefined where the controller reads none at all. */
function foreign(raw: string | undefined, edit: NetworksEdit): readonly number[] | undefined {
  const parsed = readElements(raw, 'ns');
  if (!parsed.ok) return undefined;
  return parsed.elements.flatMap((element, index) => {
    const { name, namespace, interface: iface } = element;
    const named =
      edit.kind === 'remove'
        ? edit.elements.some((of) => of.name === name && of.namespace === namespace && of.interface === (iface ?? ''))
        : edit.kind === 'repair' && edit.elements.some((of) => of.index === index);
    return named ? [] : [index];
  });
}

/** Holds one edit against what it may do; says what came of it. */
function check(raw: string | undefined, edit: NetworksEdit): EditedNetworks {
  const edited = editNetworks(raw, 'ns', edit);
  const kept = foreign(raw, edit);
  if (!edited.ok) {
    // What the controller reads can always lose an element, or be kicked.
    assert.ok(kept === undefined || edit.kind === 'add' || edit.kind === 'repair', edited.reason);
    return edited;
  }
  assert.ok(kept);
  const after = readElements(edited.value, 'ns');
  assert.ok(after.ok);
  for (const parser of networksParsers) {
    const was = readElements(raw, 'ns', parser);
    if (!was.ok) continue;
    const is = readElements(edited.value, 'ns', parser);
    assert.ok(is.ok, parser);
    const left: readonly unknown[] =
      edit.kind === 'repair' ? kept.map((index) => is.elements[index]) : is.elements.slice(0, kept.length);
    assert.deepEqual(
      left,
      kept.map((index) => was.elements[index]),
      parser,
    );
    const more: Readonly<Record<NetworksEdit['kind'], number>> = {
      add: kept.length + 1,
      remove: kept.length,
      repair: was.elements.length,
      kick: kept.length,
    };
    assert.equal(is.elements.length, more[edit.kind], parser);
  }
  if (edit.kind === 'add') assert.deepEqual(after.elements.at(-1), edit.element);
  if (edit.kind === 'repair') assert.equal(after.elements[edit.elements[0]?.index ?? 0]?.interface, 'net9');
  if (edit.kind === 'kick') assert.notEqual(edited.value, raw);
  return edited;
}

test('any edit of any value leaves the other elements as each parser reads them', () => {
  let done = 0;
  fc.assert(
    fc.property(
      fc.oneof(
        shortForm,
        fc.string(),
        jsonList.map(({ raw }) => raw),
        fc.constant(undefined),
      ),
      edits,
      (raw, edit) => {
        if (check(raw, edit).ok) done += 1;
      },
    ),
    { numRuns: 2000 },
  );
  assert.ok(done > 200, `${done} edits were made`);
});

test('elements of JSON keep their bytes and their order', () => {
  fc.assert(
    fc.property(jsonList, edits, ({ raw, items }, edit) => {
      const edited = editNetworks(raw, 'ns', edit);
      let at = 0;
      for (const index of edited.ok ? (foreign(raw, edit) ?? []) : []) {
        const bytes = items[index] ?? '';
        const found = edited.ok ? (edited.value ?? '').indexOf(bytes, at) : -1;
        assert.ok(found >= 0, bytes);
        at = found + bytes.length;
      }
    }),
    { numRuns: 1000 },
  );
});

test('an element that comes and goes leaves every byte of JSON behind', () => {
  fc.assert(
    fc.property(jsonList, elementKey, ({ raw }, element) => {
      const added = editNetworks(raw, 'ns', { kind: 'add', element });
      if (!added.ok) return;
      const again = editNetworks(added.value, 'ns', { kind: 'remove', elements: [element] });
      const gone = readElements(raw, 'ns');
      assert.deepEqual(again, { ok: true, value: gone.ok && gone.elements.length > 0 ? raw : undefined });
    }),
  );
});

const { path, skip } = recordings('multus-annotation-cases.json');

test('recorded values take every edit, or refuse it, without harm to others', { skip }, (context: TestContext) => {
  const { cases }: { cases: readonly { readonly input: string }[] } = JSON.parse(readFileSync(path, 'utf8'));
  let done = 0;
  for (const { input } of cases) {
    const elements = readElements(input, 'ns');
    const own = elements.ok ? elements.elements.map((one) => ({ ...one, interface: one.interface ?? '' })) : [];
    const each: readonly NetworksEdit[] = [
      { kind: 'add', element: { namespace: 'ns', name: 'x', interface: 'fresh0' } },
      { kind: 'kick' },
      ...own.map((element): NetworksEdit => ({ kind: 'remove', elements: [element] })),
      ...own.map(
        (network, index): NetworksEdit => ({ kind: 'repair', elements: [{ index, network, interface: 'net9' }] }),
      ),
    ];
    for (const edit of each) if (check(input, edit).ok) done += 1;
  }
  assert.ok(done > cases.length, `${done} edits were made`);
  context.diagnostic(`${done} edits of ${cases.length} values`);
});
