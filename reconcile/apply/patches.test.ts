import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { recordings } from '../../test/recordings.ts';
import type { KubeObject, PatchOperation } from '../kube/cluster.ts';
import type { PlannedAttachment } from '../plan/model.ts';
import { ownedAnnotation } from '../systems/patchpanel.ts';
import type { Json } from '../vocabulary.ts';
import { type Edit, editFor, ownedNames, type WrittenAction } from './patches.ts';

type Lists = { readonly networks?: Json; readonly interfaces?: Json };

const base = { id: 'prod/db-0/1', after: [] } as const;
const defaultNic = { masquerade: {}, model: 'virtio', name: 'default' };
const defaultNet = { name: 'default', pod: {} };
const blueNic = { bridge: {}, model: 'virtio', name: 'blue', tag: 'kept' };
const blueNet = { multus: { networkName: 'vlan10' }, name: 'blue' };
const uidTest = { op: 'test', path: '/metadata/uid', value: 'u1' };
const ownedPath = '/metadata/annotations/patchpanel.dev~1owned-attachments';

function vm(lists: Lists, annotations?: Readonly<Record<string, string>>, devices: object = {}): KubeObject {
  const { networks, interfaces } = lists;
  return {
    metadata: { name: 'db-0', namespace: 'prod', uid: 'u1', ...(annotations === undefined ? {} : { annotations }) },
    spec: {
      template: {
        spec: {
          domain: { devices: { disks: [], ...devices, ...(interfaces === undefined ? {} : { interfaces }) } },
          ...(networks === undefined ? {} : { networks }),
        },
      },
    },
  };
}

function withBlue(nic: object = blueNic, owned?: readonly string[]): KubeObject {
  return vm(
    { networks: [defaultNet, blueNet], interfaces: [defaultNic, nic as Json] },
    owned === undefined ? { other: 'x' } : { [ownedAnnotation]: JSON.stringify(owned) },
  );
}

function attachment(name: string, more: Partial<PlannedAttachment> = {}): PlannedAttachment {
  return { name, network: { namespace: 'prod', name: 'vlan20' }, binding: 'bridge', state: 'up', ...more };
}

function plug(...attachments: readonly PlannedAttachment[]): WrittenAction {
  return { ...base, kind: 'plug', attachments, delivery: 'in-place' };
}

function operations(edit: Edit): readonly PatchOperation[] {
  assert.equal(edit.kind, 'patch', JSON.stringify(edit));
  return edit.kind === 'patch' ? edit.operations : [];
}

function written(edit: Edit, list: 'networks' | 'interfaces'): Json {
  const found = operations(edit).find((operation) => operation.op !== 'test' && operation.path.endsWith(`/${list}`));
  assert.ok(found !== undefined && 'value' in found, `${list} is not written`);
  return found.value;
}

test('a plug is one patch: both lists tested as read, appended to, and recorded as owned', () => {
  const edit = editFor(plug(attachment('red', { mac: '02:00:00:00:0a:01' })), withBlue());
  assert.deepEqual(operations(edit), [
    uidTest,
    { op: 'test', path: '/spec/template/spec/networks', value: [defaultNet, blueNet] },
    { op: 'test', path: '/spec/template/spec/domain/devices/interfaces', value: [defaultNic, blueNic] },
    {
      op: 'replace',
      path: '/spec/template/spec/networks',
      value: [defaultNet, blueNet, { name: 'red', multus: { networkName: 'vlan20' } }],
    },
    {
      op: 'replace',
      path: '/spec/template/spec/domain/devices/interfaces',
      value: [defaultNic, blueNic, { name: 'red', bridge: {}, model: 'virtio', macAddress: '02:00:00:00:0a:01' }],
    },
    { op: 'test', path: ownedPath, value: null },
    { op: 'add', path: ownedPath, value: '["red"]' },
  ]);
});

test('several plugs keep the declared order; the record is sorted', () => {
  const edit = editFor(plug(attachment('zulu'), attachment('alfa')), withBlue(blueNic, ['blue']));
  const names = (written(edit, 'networks') as { name: string }[]).map((entry) => entry.name);
  assert.deepEqual(names, ['default', 'blue', 'zulu', 'alfa']);
  assert.deepEqual(operations(edit).slice(-2), [
    { op: 'test', path: ownedPath, value: '["blue"]' },
    { op: 'replace', path: ownedPath, value: '["alfa","blue","zulu"]' },
  ]);
});

test('an attachment is spelt as KubeVirt wants it', () => {
  const nics: readonly [PlannedAttachment, object][] = [
    [attachment('n'), { name: 'n', bridge: {}, model: 'virtio' }],
    [attachment('n', { model: 'e1000e', state: 'down' }), { name: 'n', bridge: {}, model: 'e1000e', state: 'down' }],
    [attachment('n', { binding: 'sriov' }), { name: 'n', sriov: {} }],
  ];
  for (const [wanted, entry] of nics) {
    assert.deepEqual((written(editFor(plug(wanted), withBlue()), 'interfaces') as object[]).at(-1), entry);
  }
  const far = editFor(plug(attachment('n', { network: { namespace: 'net', name: 'a' } })), withBlue());
  assert.deepEqual((written(far, 'networks') as object[]).at(-1), { name: 'n', multus: { networkName: 'net/a' } });
});

test('an object without annotations gets the map first, as the server refuses a key below nothing', () => {
  const edit = editFor(plug(attachment('red')), vm({ networks: [defaultNet], interfaces: [defaultNic] }));
  assert.deepEqual(operations(edit).slice(-2), [
    { op: 'test', path: '/metadata/annotations', value: null },
    { op: 'add', path: '/metadata/annotations', value: { [ownedAnnotation]: '["red"]' } },
  ]);
});

test('lists that are missing are tested for null and added', () => {
  const edit = editFor(plug(attachment('red')), vm({}, {}, { autoattachPodInterface: false }));
  assert.deepEqual(
    operations(edit)
      .slice(1, 5)
      .map((operation) => [operation.op, 'value' in operation && operation.value === null]),
    [
      ['test', true],
      ['test', true],
      ['add', false],
      ['add', false],
    ],
  );
});

test('the automatic pod network of a template without NICs is written out beside the first plug', () => {
  const vmi: KubeObject = {
    metadata: { name: 'db-0' },
    spec: {
      networks: [defaultNet, blueNet],
      domain: { devices: { interfaces: [{ ...defaultNic, ports: [{ port: 22 }] }, blueNic] } },
    },
  };
  const edit = editFor(plug(attachment('red')), vm({}), vmi);
  assert.deepEqual(written(edit, 'networks'), [defaultNet, { name: 'red', multus: { networkName: 'vlan20' } }]);
  assert.deepEqual((written(edit, 'interfaces') as object[])[0], { ...defaultNic, ports: [{ port: 22 }] });
  // Where the template has NICs, what is missing from it is missing on purpose.
  const other = editFor(plug(attachment('red')), vm({ networks: [blueNet], interfaces: [blueNic] }), vmi);
  assert.equal((written(other, 'networks') as object[]).length, 2);
});

test('an unplug turns the NIC absent in its place and keeps the record until it is gone', () => {
  const edit = editFor(
    { ...base, kind: 'unplug', attachments: ['blue'], delivery: 'in-place' },
    withBlue(blueNic, ['blue']),
  );
  assert.deepEqual(written(edit, 'interfaces'), [defaultNic, { ...blueNic, state: 'absent' }]);
  assert.deepEqual(written(edit, 'networks'), [defaultNet, blueNet]);
  assert.ok(operations(edit).every((operation) => !operation.path.startsWith('/metadata/annotations')));
});

test('a link change touches the state alone', () => {
  const down = editFor({ ...base, kind: 'link', attachment: 'blue', state: 'down' }, withBlue());
  assert.deepEqual(written(down, 'interfaces'), [defaultNic, { ...blueNic, state: 'down' }]);
  const up = editFor(
    { ...base, kind: 'link', attachment: 'blue', state: 'up' },
    withBlue({ ...blueNic, state: 'down' }),
  );
  assert.deepEqual(written(up, 'interfaces'), [defaultNic, { ...blueNic, state: 'up' }]);
});

const swap: WrittenAction = {
  ...base,
  kind: 'swap',
  attachment: 'blue',
  from: { namespace: 'prod', name: 'vlan10' },
  to: { namespace: 'net', name: 'vlan20' },
};

test('a swap renames the network alone', () => {
  const edit = editFor(swap, withBlue());
  assert.deepEqual(written(edit, 'networks'), [defaultNet, { multus: { networkName: 'net/vlan20' }, name: 'blue' }]);
  assert.deepEqual(written(edit, 'interfaces'), [defaultNic, blueNic]);
});

test('a template edit deletes both entries, changes in place and appends', () => {
  const edit = editFor(
    {
      ...base,
      kind: 'edit-template',
      staged: false,
      remove: ['old'],
      put: [attachment('blue', { mac: '02:00:00:00:0a:02', binding: 'sriov' }), attachment('red')],
    },
    vm(
      {
        networks: [defaultNet, { name: 'old', multus: { networkName: 'x' } }, blueNet],
        interfaces: [defaultNic, { name: 'old', bridge: {} }, { ...blueNic, state: 'absent' }],
      },
      { [ownedAnnotation]: '["blue","old"]' },
    ),
  );
  assert.deepEqual(written(edit, 'networks'), [
    defaultNet,
    { multus: { networkName: 'vlan20' }, name: 'blue' },
    { name: 'red', multus: { networkName: 'vlan20' } },
  ]);
  assert.deepEqual(written(edit, 'interfaces'), [
    defaultNic,
    { model: 'virtio', name: 'blue', tag: 'kept', sriov: {}, macAddress: '02:00:00:00:0a:02' },
    { name: 'red', bridge: {}, model: 'virtio' },
  ]);
  assert.deepEqual(operations(edit).at(-1), { op: 'replace', path: ownedPath, value: '["blue","red"]' });
});

test('a staged removal stays on record: the NIC runs until the restart', () => {
  const edit = editFor(
    { ...base, kind: 'edit-template', staged: true, remove: ['blue'], put: [] },
    withBlue(blueNic, ['blue']),
  );
  assert.deepEqual(written(edit, 'interfaces'), [defaultNic]);
  assert.equal(operations(edit).length, 5);
});

test('a release rewrites the record alone, and removes it when it is empty', () => {
  const release: WrittenAction = { ...base, kind: 'release', attachments: ['gone'] };
  assert.deepEqual(operations(editFor(release, withBlue(blueNic, ['blue', 'gone']))), [
    uidTest,
    { op: 'test', path: ownedPath, value: '["blue","gone"]' },
    { op: 'replace', path: ownedPath, value: '["blue"]' },
  ]);
  assert.deepEqual(operations(editFor(release, withBlue(blueNic, ['gone']))).at(-1), { op: 'remove', path: ownedPath });
});

test('what is done already is not written again', () => {
  const down = withBlue({ ...blueNic, state: 'down' }, ['blue']);
  const absent = withBlue({ ...blueNic, state: 'absent' }, ['blue']);
  const cases: readonly [WrittenAction, KubeObject][] = [
    [plug(attachment('blue', { network: { namespace: 'prod', name: 'vlan10' } })), withBlue()],
    [
      plug(attachment('blue', { network: { namespace: 'prod', name: 'vlan10' }, mac: '02:00:00:00:0a:09' })),
      withBlue({ ...blueNic, macAddress: '0200.0000.0A09' }),
    ],
    [{ ...base, kind: 'unplug', attachments: ['blue'], delivery: 'in-place' }, absent],
    [{ ...base, kind: 'unplug', attachments: ['blue', 'red'], delivery: 'in-place' }, absent],
    [{ ...base, kind: 'link', attachment: 'blue', state: 'down' }, down],
    [{ ...base, kind: 'link', attachment: 'blue', state: 'up' }, withBlue()],
    [{ ...swap, to: { namespace: 'prod', name: 'vlan10' } }, withBlue()],
    [{ ...base, kind: 'edit-template', staged: false, remove: ['nosuch'], put: [] }, withBlue()],
    [{ ...base, kind: 'release', attachments: ['gone'] }, withBlue(blueNic, ['blue'])],
    [{ ...base, kind: 'follow', attachment: 'blue', until: 'gone' }, absent],
  ];
  for (const [action, object] of cases) assert.deepEqual(editFor(action, object), { kind: 'done' }, action.kind);
});

test('an action that the VM contradicts is refused, and the default network is off limits', () => {
  const absent = withBlue({ ...blueNic, state: 'absent' });
  const multusDefault = vm({
    networks: [{ name: 'blue', multus: { networkName: 'vlan10', default: true } }],
    interfaces: [blueNic],
  });
  const there = attachment('blue', { network: { namespace: 'prod', name: 'vlan10' } });
  const defaultAlone = vm({ networks: [defaultNet], interfaces: [defaultNic] });
  const cases: readonly [WrittenAction, KubeObject, RegExp][] = [
    [{ ...base, kind: 'link', attachment: 'default', state: 'down' }, defaultAlone, /default network/],
    [plug(attachment('blue')), withBlue(), /another NIC of the name "blue"/],
    [plug({ ...there, mac: '02:00:00:00:0a:09' }), withBlue(), /another NIC of the name "blue"/],
    [plug({ ...there, model: 'e1000e' }), withBlue(), /another NIC of the name "blue"/],
    [plug(attachment('red')), vm({}), /take its default network away/],
    [
      { ...base, kind: 'edit-template', staged: false, remove: [], put: [attachment('red')] },
      vm({}),
      /default network/,
    ],
    [{ ...base, kind: 'unplug', attachments: ['blue'], delivery: 'in-place' }, withBlue(blueNic, ['red']), /record/],
    [{ ...base, kind: 'edit-template', staged: false, remove: ['blue'], put: [] }, withBlue(), /record/],
    [
      plug(attachment('blue', { binding: 'sriov', network: { namespace: 'prod', name: 'vlan10' } })),
      withBlue(),
      /another/,
    ],
    [plug(attachment('blue')), absent, /being unplugged/],
    [{ ...base, kind: 'unplug', attachments: ['default'], delivery: 'in-place' }, withBlue(), /default network/],
    [{ ...base, kind: 'unplug', attachments: ['blue'], delivery: 'in-place' }, multusDefault, /default network/],
    [{ ...base, kind: 'link', attachment: 'red', state: 'up' }, withBlue(), /no NIC "red"/],
    [{ ...base, kind: 'link', attachment: 'blue', state: 'up' }, absent, /being unplugged/],
    [swap, absent, /being unplugged/],
    [{ ...swap, from: { namespace: 'prod', name: 'vlan30' } }, withBlue(), /not on prod\/vlan30/],
    [{ ...swap, attachment: 'default' }, withBlue(), /no Multus network/],
    [{ ...base, kind: 'edit-template', staged: false, remove: ['default'], put: [] }, withBlue(), /default network/],
    [
      { ...base, kind: 'edit-template', staged: false, remove: [], put: [attachment('default')] },
      withBlue(),
      /default/,
    ],
  ];
  for (const [action, object, reason] of cases) {
    const edit = editFor(action, object);
    assert.equal(edit.kind, 'refused', `${action.kind} ${reason}`);
    if (edit.kind === 'refused') assert.match(edit.reason, reason);
  }
});

test('a record that is no list counts as empty', () => {
  for (const text of ['', 'null', '{}', '[', '"blue"'])
    assert.deepEqual(ownedNames(vm({}, { [ownedAnnotation]: text })), [], text);
  assert.deepEqual(ownedNames(vm({}, { [ownedAnnotation]: '["a",1,"b"]' })), ['a', 'b']);
});

// --- against recorded requests that a real virt-api accepted

interface Step {
  readonly name?: string;
  readonly request?: { readonly body?: readonly PatchOperation[] };
}

function value(body: readonly PatchOperation[], op: string, path: RegExp): Json {
  const found = body.find((operation) => operation.op === op && path.test(operation.path));
  assert.ok(found !== undefined && 'value' in found);
  return found.value;
}

/** Key order aside: the recordings were taken with other orders, and the server stores its own. */
function canonical(list: Json): unknown {
  return JSON.parse(
    JSON.stringify(list, (_key, entry: unknown) =>
      typeof entry === 'object' && entry !== null && !Array.isArray(entry)
        ? Object.fromEntries(Object.entries(entry).sort(([one], [other]) => (one < other ? -1 : 1)))
        : entry,
    ),
  );
}

const here = 'flow';
const recorded: readonly [file: string, step: string, action: WrittenAction][] = [
  ['02-plug-one-bridge-nic', 'plug blue', plug(attachment('blue', { network: { namespace: here, name: 'vlan10' } }))],
  ['04-unplug-one-absent', 'red absent', { ...base, kind: 'unplug', attachments: ['red'], delivery: 'in-place' }],
  ['07-link-down-up', 'blue down', { ...base, kind: 'link', attachment: 'blue', state: 'down' }],
  ['07-link-down-up', 'blue up', { ...base, kind: 'link', attachment: 'blue', state: 'up' }],
  [
    '08-nad-swap',
    'blue vlan10 -> vlan20',
    { ...swap, from: { namespace: here, name: 'vlan10' }, to: { namespace: here, name: 'vlan20' } },
  ],
  [
    '11-plug-sriov',
    'plug sriov1',
    plug(attachment('sriov1', { binding: 'sriov', network: { namespace: here, name: 'sriov-net' } })),
  ],
  [
    '27-json-patch-test-ops',
    'plug red (test ops pass)',
    plug(attachment('red', { network: { namespace: here, name: 'vlan20' } })),
  ],
];

for (const [file, step, action] of recorded) {
  const { path, skip } = recordings('kubevirt-flow', `${file}.json`);
  test(`the patch of ${file}, step "${step}"`, { skip }, () => {
    const { steps } = JSON.parse(readFileSync(path, 'utf8')) as { readonly steps: readonly Step[] };
    const body = steps.find((candidate) => candidate.name === step)?.request?.body;
    assert.ok(body !== undefined);
    const object = vm(
      { networks: value(body, 'test', /networks$/), interfaces: value(body, 'test', /interfaces$/) },
      { [ownedAnnotation]: '["red"]' },
    );
    const edit = editFor(action, { ...object, metadata: { ...object.metadata, namespace: here } });
    assert.deepEqual(canonical(written(edit, 'networks')), canonical(value(body, 'replace', /networks$/)));
    assert.deepEqual(canonical(written(edit, 'interfaces')), canonical(value(body, 'replace', /interfaces$/)));
  });
}
