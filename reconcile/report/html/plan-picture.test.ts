import assert from 'node:assert/strict';
import { test } from 'node:test';
import { paused } from '../../../test/plan-cases.ts';
import { byMigration, declared, desiredState, liveState, runningVm, stoppedVm } from '../../../test/vm-builder.ts';
import type { DesiredTarget } from '../../desired/model.ts';
import { diffState } from '../../diff/diff.ts';
import type { LiveVm } from '../../live/model.ts';
import { makePlan } from '../../plan/plan.ts';
import type { Panel, Picture } from './model.ts';
import { planPicture } from './plan-picture.ts';

const blue = { name: 'blue', mac: '02:00:00:00:00:01' };
const red = { name: 'red' };

function pictureOf(targets: readonly DesiredTarget[], vms: readonly LiveVm[], options = {}): Picture {
  const desired = desiredState(targets, options);
  const also = targets.flatMap(({ attachments }) => attachments.map(({ network }) => network.name));
  const live = liveState(vms, { also, ...options });
  const diffs = diffState(desired, live);
  return planPicture(makePlan(diffs, desired, live), { desired, live, diffs }, new Date(0));
}

function panelOf(...args: Parameters<typeof pictureOf>): Panel {
  const [panel] = pictureOf(...args).panels;
  assert.ok(panel);
  return panel;
}

function cables({ cables: all }: Panel): readonly string[] {
  return all.map(({ name, is, to, say }) => [name, is, to, say].filter((part) => part !== undefined).join(' '));
}

test('a plug goes into the port that libvirt will choose, what stays is where it is', () => {
  const panel = panelOf([declared([blue, red])], [runningVm([blue], { ports: 4, owned: ['blue'] })]);
  assert.deepEqual(cables(panel), ['blue stays 2', 'red plug 3', 'default foreign 1 masquerade']);
  assert.deepEqual(
    panel.jacks?.map(({ at, is }) => `${at} ${is}`),
    ['1 used', '2 used', '3 taken', '4 free'],
  );
  assert.equal(panel.ports, '4 ports: 2 used, 1 to be used, 1 free');
  assert.deepEqual(panel.is, ['plug']);
  assert.equal(panel.at, 'vms/db-0.yaml:1');
  assert.deepEqual(panel.steps, [['+', 'plug red into red-net']]);
});

test('an unplug keeps its port until it is freed', () => {
  const panel = panelOf([declared([blue])], [runningVm([blue, red], { ports: 4, owned: ['blue', 'red'] })]);
  assert.deepEqual(cables(panel), ['blue stays 2', 'red unplug 3', 'default foreign 1 masquerade']);
  assert.deepEqual(panel.jacks?.[2]?.is, 'freed');
  assert.deepEqual(panel.is, ['unplug']);
});

test('what the whole VM or one attachment is blocked by breaks its cable, with the remedy beside it', () => {
  const full = panelOf([declared([blue, red])], [runningVm([blue], { ports: 2, owned: ['blue'] })]);
  assert.deepEqual(cables(full), ['blue stays 2', 'red blocked can not be plugged', 'default foreign 1 masquerade']);
  assert.equal(full.blocks?.[0]?.code, 'no-ports');
  assert.match(full.blocks?.[0]?.remedy ?? '', /\.$/);
  const held = panelOf([declared([blue])], [runningVm([blue, red], { owned: ['red'], vmi: paused })]);
  assert.equal(held.cables.find(({ name }) => name === 'red')?.is, 'blocked');
  assert.deepEqual(held.is[0], 'blocked');
  const changed = panelOf([declared([{ ...blue, mac: '02:00:00:00:00:99' }])], [runningVm([blue])]);
  assert.deepEqual(cables(changed)[0], 'blue blocked 2 can not be changed');
  const gone = panelOf([declared([blue])], []);
  assert.deepEqual(
    [gone.run, gone.jacks, cables(gone)],
    ['not in the cluster', undefined, ['blue blocked can not be plugged']],
  );
});

test('changes in flight, link changes, moves, staged ones and templates of stopped VMs', () => {
  const leaving = panelOf([declared([blue])], [runningVm([blue, { ...red, state: 'absent' }], { owned: ['red'] })]);
  assert.equal(cables(leaving)[1], 'red flight 3 being unplugged');
  const link = panelOf([declared([{ ...blue, state: 'down' }])], [runningVm([blue])]);
  assert.equal(cables(link)[0], 'blue change 2 link down');
  const swap = panelOf([declared([{ ...blue, network: 'green-net' }])], [runningVm([blue])], { cluster: byMigration });
  assert.equal(cables(swap)[0], 'blue change 2 from blue-net');
  const staged = panelOf([declared([{ ...blue, mac: '02:00:00:00:00:99' }])], [runningVm([blue])], {
    restart: 'stage',
  });
  assert.equal(cables(staged)[0], 'blue staged 2 changed then');
  const stopped = panelOf([declared([blue, red])], [stoppedVm([blue])]);
  assert.deepEqual([stopped.run, ...cables(stopped).slice(0, 2)], ['stopped', 'blue stays', 'red plug']);
  assert.deepEqual(stopped.is, ['plug']);
});

test('VMs as declared are there too; the urgent come first, then names as people count', () => {
  const names = ['db-10', 'db-9', 'db-1'];
  const { panels, networks, summary } = pictureOf(
    names.map((name) => declared(name === 'db-9' ? [blue, red] : [blue], { name })),
    names.map((name) => runningVm([blue], { name, xml: name === 'db-1' })),
  );
  assert.deepEqual(
    panels.map(({ name, is }) => `${name} ${is}`),
    ['db-9 plug', 'db-1 calm', 'db-10 calm'],
  );
  assert.deepEqual(networks, ['prod/blue-net', 'prod/red-net']);
  assert.match(summary, /^Plan: 1 VM to change/);
  assert.match(panels[2]?.ports ?? '', /free by forecast/);
});
