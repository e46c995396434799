import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  declares,
  domain,
  element,
  eth0,
  mac,
  owns,
  podStates,
  podsPlan,
  podWith,
  reading,
  wants,
} from '../../../test/pod-cases.ts';
import type { DesiredPods } from '../../desired/model.ts';
import type { LiveTargetPod } from '../../live/pod-model.ts';
import type { Panel } from './model.ts';
import { planPicture } from './plan-picture.ts';

function panelOf(wanted: DesiredPods, pod?: LiveTargetPod): Panel {
  const found = pod === undefined ? [] : [pod];
  const { desired, live } = podStates([wanted], found);
  const { panels } = planPicture(podsPlan([wanted], found), { desired, live, diffs: [] }, new Date(0));
  const [panel] = panels;
  assert.ok(panel !== undefined && panels.length === 1);
  assert.equal(panel.kind, 'pod');
  return panel;
}

function cables({ cables: all }: Panel): readonly string[] {
  return all.map(({ name, is, say }) => [name, is, say].filter((part) => part !== undefined).join(' '));
}

test('elements of a pod are cables: plugged, unplugged, as declared, and those of others', () => {
  const pod = podWith([element('a'), element('old'), element('c')], { owned: [owns('a'), owns('old')] });
  const panel = panelOf(declares([wants('a'), wants('b', { mac })]), pod);
  assert.deepEqual(cables(panel), ['a stays a', 'b plug b', 'old unplug old', 'c foreign']);
  assert.deepEqual(panel.is, ['unplug', 'plug']);
  assert.equal(panel.cables[1]?.mac, mac);
  assert.deepEqual([panel.at, panel.run, panel.jacks], ['pods.yaml:1', 'running', undefined]);
});

test('what is in the annotation alone is in flight; a pod as declared is calm', () => {
  const pending = podWith([element('a')], { owned: [owns('a')], status: [eth0] });
  assert.equal(panelOf(declares([wants('a')]), pending).cables[0]?.is, 'flight');
  const calm = panelOf(declares([wants('a')]), podWith([element('a')], { owned: [owns('a')] }));
  assert.deepEqual([calm.is, cables(calm)], [['calm'], ['a stays a']]);
});

test('of a pod that is not there its declaration is shown, blocked', () => {
  const panel = panelOf(declares([wants('a')]));
  assert.deepEqual([panel.run, panel.is, cables(panel)], ['not in the cluster', ['blocked'], ['a blocked']]);
  assert.equal(panel.blocks?.[0]?.code, 'pod-not-found');
});

test('the ports of the domain in a pod are its jacks', () => {
  const pod = podWith(undefined, reading(3));
  const panel = panelOf(declares([wants('a')], { domain }), pod);
  assert.match(panel.ports ?? '', /^\d+ ports: .*3 free/);
  assert.deepEqual(cables(panel), ['a plug a']);
});
