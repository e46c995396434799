/** Two desired states, object by object. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blue, green, red } from '../../test/plan-cases.ts';
import { declared, desiredState } from '../../test/vm-builder.ts';
import type { DesiredPods } from '../desired/model.ts';
import { changeToJson } from './change-json.ts';
import { compareDeclared } from './declared-change.ts';
import { type Change, changeVersion } from './model.ts';

const position = { file: 'vms/db-0.yaml', line: 1, column: 1 };
const net = (name: string) => ({ namespace: 'prod', name });

test('objects that come, go and change, each with its NICs', () => {
  const base = desiredState([
    declared([blue, red]),
    declared([green], { name: 'old-0' }),
    declared([], { name: 'same-0' }),
  ]);
  const head = desiredState([
    declared([{ ...blue, state: 'down' }, green], { pciePorts: 24 }),
    declared([red], { name: 'new-0' }),
    declared([], { name: 'same-0' }),
  ]);
  const found = compareDeclared(head, base);
  const vm = (name: string) => ({ kind: 'VirtualMachine', namespace: 'prod', name });
  assert.deepEqual(found.objects, [
    {
      target: vm('db-0'),
      change: 'changed',
      position,
      attachments: [
        {
          name: 'blue',
          change: 'changed',
          network: net('blue-net'),
          position,
          fields: [{ field: 'state', from: 'up', to: 'down' }],
        },
        { name: 'green', change: 'plugged', network: net('green-net'), position, fields: [] },
        { name: 'red', change: 'unplugged', network: net('red-net'), fields: [] },
      ],
      stays: [],
      fields: [{ field: 'pciePorts', from: null, to: 24 }],
    },
    {
      target: vm('new-0'),
      change: 'added',
      position,
      attachments: [{ name: 'red', change: 'plugged', network: net('red-net'), position, fields: [] }],
      stays: [],
      fields: [],
    },
    {
      target: vm('old-0'),
      change: 'removed',
      attachments: [],
      stays: [{ name: 'green', network: net('green-net') }],
      fields: [],
    },
  ]);
  assert.deepEqual(found.summary, { added: 1, removed: 1, changed: 1, plugged: 2, unplugged: 1, altered: 1 });
});

test('the NICs of a removed object go where prune is on', () => {
  const found = compareDeclared(desiredState([], { prune: true }), desiredState([declared([green])]));
  assert.equal(found.prune, true);
  assert.deepEqual(
    found.objects.map(({ change, attachments }) => [
      change,
      ...attachments.map((each) => `${each.change} ${each.name}`),
    ]),
    [['removed', 'unplugged green']],
  );
  assert.deepEqual(found.settings, [{ field: 'prune', from: false, to: true }]);
});

test('where an object stands in the repository is no change, nor is the order of its NICs', () => {
  const moved = { ...declared([red, blue]), position: { file: 'elsewhere.yaml', line: 7, column: 3 } };
  assert.deepEqual(compareDeclared(desiredState([moved]), desiredState([declared([blue, red])])).objects, []);
});

test('settings, and pods by name and by selector', () => {
  const pods: DesiredPods = {
    query: { namespace: 'prod', selector: 'app=edge' },
    name: 'edges',
    selector: { matchLabels: { app: 'edge' } },
    repair: false,
    attachments: [{ name: 'up', network: net('up-net'), interface: 'up', state: 'up', position }],
    position,
  };
  const base = desiredState([], { maxInFlight: 4 });
  const found = compareDeclared({ ...desiredState([], { maxInFlight: 8, restart: 'stage' }), pods: [pods] }, base);
  assert.deepEqual(found.settings, [
    { field: 'maxInFlight', from: 4, to: 8 },
    { field: 'restart', from: 'never', to: 'stage' },
  ]);
  assert.deepEqual(
    found.objects.map(({ target, change }) => `${target.kind} ${target.namespace}/${target.name} ${change}`),
    ['Pod prod/[app=edge] added'],
  );
});

test('without a base all is added, and the JSON is that of the format', () => {
  const head = desiredState([declared([blue])]);
  const declaredChange = compareDeclared(head, undefined);
  assert.deepEqual(declaredChange.summary, { added: 1, removed: 0, changed: 0, plugged: 1, unplugged: 0, altered: 0 });
  const faults = [{ code: 'yaml/syntax', message: 'broken', position }];
  const change: Change = {
    version: changeVersion,
    source: head.source,
    base: { kind: 'unrendered', ref: 'main', faults },
    declared: declaredChange,
  };
  const text = changeToJson(change);
  assert.equal(changeToJson(JSON.parse(text)), text);
  assert.deepEqual(Object.keys(JSON.parse(text)), ['version', 'source', 'base', 'declared']);
});
