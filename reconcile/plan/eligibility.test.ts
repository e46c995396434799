import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import {
  blue,
  checkRows,
  own,
  paused,
  planOf,
  planVm,
  red,
  templated,
  withPod,
  withVmi,
} from '../../test/plan-cases.ts';
import { declared, inPlace, runningVm, statusNic, stoppedVm } from '../../test/vm-builder.ts';
import type { ClusterFacts, OtherManager } from '../live/model.ts';

test('eligibility', () => {
  const idle = runningVm();
  checkRows([
    { what: 'running', wanted: [blue], vm: idle, actions: ['plug blue in-place'] },
    {
      what: 'stopped: one edit, deletes outright',
      wanted: [blue],
      vm: stoppedVm([red], own('red')),
      actions: ['edit +blue -red'],
    },
    {
      what: 'a VMI that ended is stopped',
      wanted: [blue],
      vm: withVmi(idle, { phase: 'Succeeded' }),
      actions: ['edit +blue'],
    },
    { what: 'migrating', wanted: [blue], vm: withVmi(idle, { migrating: true }), blockers: ['vm-migrating'] },
    { what: 'starting', wanted: [blue], vm: withVmi(idle, { phase: 'Scheduling' }), blockers: ['vm-starting'] },
    { what: 'stopping', wanted: [blue], vm: withVmi(idle, { deleting: true }), blockers: ['vm-not-ready'] },
    { what: 'pod not ready', wanted: [blue], vm: withPod(idle, { ready: false }), blockers: ['vm-not-ready'] },
    { what: 'deleting', wanted: [blue], vm: { ...idle, deleting: true }, blockers: ['vm-deleting'] },
    { what: 'pool', wanted: [blue], vm: { ...idle, pool: 'web' }, blockers: ['vm-pool'] },
    { what: 'no such VM', wanted: [blue], vm: undefined, blockers: ['vm-not-found'] },
    {
      what: 'paused: plugs go on, unplugs wait',
      wanted: [blue],
      vm: runningVm([red], { ...own('red'), vmi: paused }),
      actions: ['plug blue in-place'],
      blockers: ['vm-paused red'],
    },
    {
      what: 'another manager',
      wanted: [blue],
      vm: { ...idle, otherManagers: [{ tool: 'Argo CD', evidence: 'label' }] },
      blockers: ['shared-ownership'],
    },
    {
      what: 'another manager, acknowledged',
      wanted: [blue],
      vm: { ...idle, otherManagers: [{ tool: 'Flux', evidence: 'label' }], sharedOwnershipAcknowledged: true },
      actions: ['plug blue in-place'],
    },
    {
      what: 'an unplug under way is followed during a migration',
      wanted: [],
      vm: withVmi(templated(runningVm([blue], own('blue')), [{ ...blue, state: 'absent' }]), { migrating: true }),
      actions: ['follow blue gone', 'release blue'],
    },
    {
      what: 'the record goes with the unplug, which is held',
      wanted: [],
      vm: { ...runningVm([blue], own('blue')), pool: 'web' },
      blockers: ['vm-pool'],
    },
    {
      what: 'a plug under way is followed whoever else writes the VM',
      wanted: [blue],
      vm: withVmi(
        { ...runningVm([blue]), otherManagers: [{ tool: 'Helm', evidence: 'annotation' }] },
        { status: [{ ...statusNic(blue), sources: ['domain'] }] },
      ),
      actions: ['follow blue plugged'],
    },
  ]);
});

test('with a declared number of ports the remedy lists every field that may get it', () => {
  const argo = { ...runningVm(), otherManagers: [{ tool: 'Argo CD', evidence: 'label' }] };
  const remedy = (cluster: Partial<ClusterFacts>) =>
    planOf([declared([blue], { pciePorts: 24 })], [argo], { restart: 'stage', cluster: { ...inPlace, ...cluster } })
      .targets[0]?.blockers[0]?.remedy ?? '';
  const at = '/spec/template/metadata/annotations';
  const [slots, hook] = [`${at}/kubevirt.io~1pci-interface-slot-count`, `${at}/hooks.kubevirt.io~1hookSidecars`];
  const field = '/spec/template/spec/domain/devices/numberPciPorts';
  const listed = (text: string) => [slots, hook, field].filter((path) => text.includes(path));
  assert.deepEqual(listed(remedy({ sidecarGate: false })), [slots]);
  assert.deepEqual(listed(remedy({ sidecarGate: true })), [slots, hook]);
  assert.deepEqual(listed(remedy({ portField: true })), [field]);
});

test('remedies name the exact way out', () => {
  const managed = (tool: string, evidence = 'x') =>
    planVm([blue], { ...runningVm(), otherManagers: [{ tool, evidence }] }).blockers[0]?.remedy ?? '';
  const argo = managed('Argo CD');
  for (const part of [
    '/spec/template/spec/networks',
    '/spec/template/spec/domain/devices/interfaces',
    '/spec/template/metadata/annotations/kubevirt.io~1pci-topology-version',
    'ignoreDifferences',
    'RespectIgnoreDifferences=true',
    'kubectl -n prod annotate vm db-0 patchpanel.dev/shared-ownership=acknowledged',
  ])
    assert.ok(argo.includes(part), part);
  assert.match(managed('Flux'), /Kustomization.*spec\.ignore/);
  assert.match(managed('Flux', 'label helm.toolkit.fluxcd.io/name=a'), /HelmRelease.*driftDetection/);
  assert.match(managed('Terraform'), /Terraform.*computed_fields/);
});

test('what is to be written elsewhere can be pasted there', () => {
  const pasted = (...managers: readonly OtherManager[]) =>
    planVm([blue], { ...runningVm(), otherManagers: managers }).blockers[0]?.paste;
  const paths = [
    '/spec/template/spec/networks',
    '/spec/template/spec/domain/devices/interfaces',
    '/spec/template/metadata/annotations/kubevirt.io~1pci-topology-version',
  ];
  const target = { group: 'kubevirt.io', version: 'v1', kind: 'VirtualMachine', namespace: 'prod', name: 'db-0' };
  const { version: _, ...object } = target;

  const application = { kind: 'Application', name: 'vms', namespace: 'argo' } as const;
  const argo = pasted({ tool: 'Argo CD', evidence: 'x', owner: application }) ?? '';
  assert.match(argo, /^# Argo CD Application argo\/vms\n/);
  assert.deepEqual(parse(argo), {
    spec: {
      ignoreDifferences: [{ ...object, jsonPointers: paths }],
      syncPolicy: { syncOptions: ['RespectIgnoreDifferences=true'] },
    },
  });
  const flux = pasted({ tool: 'Flux', evidence: 'x', owner: { kind: 'Kustomization', name: 'apps' } }) ?? '';
  assert.match(flux, /^# Flux Kustomization apps, Flux 2\.9/);
  assert.deepEqual(parse(flux), { spec: { ignore: [{ target, paths }] } });
  const release = pasted({ tool: 'Flux', evidence: 'x', owner: { kind: 'HelmRelease', name: 'db' } }) ?? '';
  assert.deepEqual(parse(release), { spec: { driftDetection: { ignore: [{ target, paths }] } } });
  assert.equal(pasted({ tool: 'Helm', evidence: 'x' }, { tool: 'Terraform', evidence: 'x' }), undefined);
  const both = pasted({ tool: 'Flux', evidence: 'x' }, { tool: 'Argo CD', evidence: 'x' }) ?? '';
  assert.deepEqual(both.match(/^#.*$/gm), ['# Argo CD Application', '# Flux Kustomization, Flux 2.9 or later']);
});
