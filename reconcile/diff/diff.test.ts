import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  attachment,
  declared,
  desiredState,
  liveState,
  type NicOptions,
  runningVm,
  specNic,
  statusNic,
  stoppedVm,
} from '../../test/vm-builder.ts';
import type { LivePod, LiveVm, LiveVmi } from '../live/model.ts';
import { diffState, needsDomainXml } from './diff.ts';
import type { AttachmentState, TargetDiff } from './model.ts';

const blue: NicOptions = { name: 'blue', mac: '02:00:00:00:00:01' };

function diffOne(nics: readonly NicOptions[], live: LiveVm | undefined, pciePorts?: number): TargetDiff {
  const target = declared(nics, pciePorts === undefined ? {} : { pciePorts });
  const [diff] = diffState(desiredState([target]), liveState(live === undefined ? [] : [live]));
  assert.ok(diff);
  return diff;
}

function withVmi(vm: LiveVm, change: Partial<LiveVmi>): LiveVm {
  assert.ok(vm.vmi);
  return { ...vm, vmi: { ...vm.vmi, ...change } };
}

function withPod(vm: LiveVm, change: Partial<LivePod>): LiveVm {
  assert.ok(vm.pod);
  return { ...vm, pod: { ...vm.pod, ...change } };
}

function brief(diff: TargetDiff, name: string): readonly string[] {
  const found = diff.attachments.find((item) => item.name === name);
  assert.ok(found);
  return found.differences.map(({ layer, field, wanted, found: is }) => `${layer}.${field} ${wanted} ${is}`);
}

function stateOf(diff: TargetDiff, name: string): AttachmentState | undefined {
  return diff.attachments.find((item) => item.name === name)?.state;
}

const unread = { kind: 'unread', why: 'not-asked' } as const;
const [defaultSpec] = runningVm().nics;
assert.ok(defaultSpec);
const withoutBlue = runningVm();
const absentBlue = { ...specNic(blue), state: 'absent' as const };

test('states, one rule a row', () => {
  const running = runningVm([blue]);
  const owned = { owned: ['blue'] };
  const cases: readonly (readonly [string, readonly NicOptions[], LiveVm | undefined, AttachmentState | undefined])[] =
    [
      ['declared, all layers agree', [blue], running, 'converged'],
      ['not owned is converged all the same', [blue], runningVm([blue], { owned: [] }), 'converged'],
      ['no such VM', [blue], undefined, 'missing'],
      ['declared, not in the VM', [blue], withoutBlue, 'missing'],
      ['struck from the template, still plugged', [blue], { ...running, nics: [defaultSpec] }, 'missing'],
      ['VMI lags', [blue], withVmi(running, { nics: [defaultSpec], status: [] }), 'arriving'],
      ['in pod, not in guest', [blue], { ...running, domain: runningVm().domain }, 'arriving'],
      ['absent in the VM', [blue], { ...running, nics: [defaultSpec, absentBlue] }, 'leaving'],
      [
        'gone from the VM, absent in the VMI',
        [blue],
        withVmi({ ...running, nics: [defaultSpec] }, { nics: [defaultSpec, absentBlue] }),
        'leaving',
      ],
      ['only status is left', [blue], withVmi({ ...running, nics: [defaultSpec] }, { nics: [defaultSpec] }), 'leaving'],
      [
        'present in the VM, absent in the VMI',
        [blue],
        withVmi(running, { nics: [defaultSpec, absentBlue] }),
        'arriving',
      ],
      ['another network', [{ ...blue, network: 'red-net' }], running, 'differs'],
      ['owned, undeclared', [], runningVm([blue], owned), 'surplus'],
      ['owned, undeclared, absent', [], { ...runningVm([blue], owned), nics: [defaultSpec, absentBlue] }, 'leaving'],
      ['owned, undeclared, in the domain only', [], { ...withoutBlue, ...owned, domain: running.domain }, 'leaving'],
      ['owned, gone from every layer', [], runningVm([], owned), 'released'],
      ['neither', [], running, 'unmanaged'],
      ['stopped, in the template', [blue], stoppedVm([blue]), 'converged'],
      ['stopped, not in the template', [blue], stoppedVm(), 'missing'],
      ['stopped, owned', [], stoppedVm([blue], owned), 'surplus'],
      [
        'a VMI that ended counts as none',
        [blue],
        withVmi(running, { phase: 'Succeeded', nics: [], status: [] }),
        'converged',
      ],
      [
        'starting: inner layers say nothing yet',
        [blue],
        withVmi(running, { phase: 'Scheduled', status: [] }),
        'converged',
      ],
    ];
  for (const [title, nics, live, state] of cases) assert.equal(stateOf(diffOne(nics, live), 'blue'), state, title);
});

test('a missing NIC is missing in every layer that can be read', () => {
  assert.deepEqual(brief(diffOne([blue], withoutBlue), 'blue'), [
    'vm.present true null',
    'vmi.present true null',
    'pod.present true null',
    'multus.present true null',
    'domain.present true null',
  ]);
  assert.deepEqual(brief(diffOne([blue], stoppedVm()), 'blue'), ['vm.present true null']);
});

test('equal things compare equal', () => {
  const cases: readonly (readonly [string, NicOptions, LiveVm])[] = [
    ['MAC in the pod annotation spelt otherwise', blue, spellMac(runningVm([blue]), '02-00-00-00-00-01')],
    ['model left out of the declaration', { name: 'blue' }, runningVm([{ ...blue, model: 'e1000' }])],
    ['model left out of the VM', { ...blue, model: 'virtio' }, withoutModel(runningVm([blue]))],
    ['MAC left out of the declaration', { name: 'blue' }, runningVm([blue])],
    ['bare name in network-status', blue, bareStatus(runningVm([blue]))],
    ['no XML, VMI status tells', blue, { ...runningVm([blue]), domain: unread }],
    ['lists in another order', blue, { ...runningVm([blue]), nics: [specNic(blue), defaultSpec] }],
    [
      'SR-IOV left out of the annotation',
      { name: 'fast', binding: 'sriov' },
      runningVm([{ name: 'fast', binding: 'sriov' }]),
    ],
    ['a declared link that is down', { ...blue, state: 'down' }, runningVm([{ ...blue, state: 'down' }])],
    ['ordinal pod interface', blue, ordinal(runningVm([blue]))],
    [
      'sources in another order, with a guest agent',
      blue,
      withVmi(runningVm([blue]), {
        status: [{ ...statusNic(blue), sources: ['multus-status', 'guest-agent', 'domain'] }],
      }),
    ],
  ];
  for (const [title, wanted, live] of cases) {
    const diff = diffOne([wanted], live);
    assert.deepEqual(brief(diff, wanted.name), [], title);
    assert.equal(stateOf(diff, wanted.name), 'converged', title);
  }
});

function spellMac(vm: LiveVm, mac: string): LiveVm {
  const networks = vm.pod?.networks;
  assert.ok(networks && !('problem' in networks));
  return withPod(vm, { networks: networks.map((element) => ({ ...element, mac })) });
}

function withoutModel(vm: LiveVm): LiveVm {
  const nics = vm.nics.map(({ model: _, ...nic }) => nic);
  return withVmi({ ...vm, nics }, { nics });
}

function bareStatus(vm: LiveVm): LiveVm {
  const status = vm.pod?.status;
  assert.ok(status && !('problem' in status));
  return withPod(vm, { status: status.map((entry) => ({ ...entry, name: entry.name.replace('prod/', '') })) });
}

function ordinal(vm: LiveVm): LiveVm {
  const networks = vm.pod?.networks;
  const status = vm.pod?.status;
  assert.ok(networks && status && !('problem' in networks) && !('problem' in status));
  const renamed = <T extends { readonly interface?: string }>(items: readonly T[]) =>
    items.map((item) => (item.interface?.startsWith('pod') ? { ...item, interface: 'net1' } : item));
  const pod = withPod(vm, { networks: renamed(networks), status: renamed(status) });
  return withVmi(pod, { status: [{ ...statusNic(blue), podInterfaceName: 'net1' }] });
}

test('each field that differs is named, outermost layer first', () => {
  const changed = {
    name: 'blue',
    network: 'red-net',
    mac: '02:00:00:00:00:09',
    state: 'down',
    model: 'e1000',
  } as const;
  assert.deepEqual(brief(diffOne([changed], runningVm([blue])), 'blue'), [
    'vm.network prod/red-net prod/blue-net',
    'vm.mac 02:00:00:00:00:09 02:00:00:00:00:01',
    'vm.model e1000 virtio',
    'vm.state down up',
    'vmi.network prod/red-net prod/blue-net',
    'vmi.mac 02:00:00:00:00:09 02:00:00:00:00:01',
    'vmi.model e1000 virtio',
    'vmi.state down up',
    'pod.network prod/red-net prod/blue-net',
    'pod.mac 02:00:00:00:00:09 02:00:00:00:00:01',
    'multus.network prod/red-net prod/blue-net',
    'domain.mac 02:00:00:00:00:09 02:00:00:00:00:01',
    'domain.state down up',
  ]);
});

test('what differs only further in is on its way, unless only a restart brings it', () => {
  const swapping = withVmi(runningVm([blue]), { nics: [defaultSpec, specNic({ ...blue, network: 'old' })] });
  assert.equal(stateOf(diffOne([blue], swapping), 'blue'), 'arriving');
  const staged = withVmi(runningVm([blue]), { nics: [defaultSpec, specNic({ ...blue, mac: '02:00:00:00:00:08' })] });
  assert.equal(stateOf(diffOne([blue], staged), 'blue'), 'differs');
});

test('VMI status that has yet to follow is told as sources', () => {
  const lagging = withVmi(runningVm([blue]), { status: [{ ...statusNic(blue), sources: ['multus-status'] }] });
  assert.deepEqual(brief(diffOne([blue], lagging), 'blue'), ['vmi.sources domain, multus-status multus-status']);
});

test('the guest informs, and decides nothing', () => {
  const conditions = [{ type: 'AgentConnected', status: 'True' }];
  const diff = diffOne([blue], withVmi(runningVm([blue]), { conditions }));
  assert.deepEqual(brief(diff, 'blue'), ['guest.present true null']);
  assert.equal(stateOf(diff, 'blue'), 'converged');
});

test('layers that can not be parsed are not compared', () => {
  const vm = withPod(runningVm([blue]), { networks: { problem: 'not JSON' }, status: { problem: 'not JSON' } });
  assert.deepEqual(brief(diffOne([blue], vm), 'blue'), []);
  const elsewhere = withVmi(vm, { status: [{ ...statusNic(blue), sources: ['domain'] }] });
  assert.deepEqual(brief(diffOne([blue], elsewhere), 'blue'), ['multus.present true null']);
});

test('the default network is never an attachment', () => {
  const diff = diffOne([{ name: 'default', network: 'blue-net' }], runningVm());
  assert.equal(stateOf(diff, 'default'), 'differs');
  assert.ok(brief(diff, 'default').includes('vm.default no yes'));
  const forged = diffOne([], runningVm([], { owned: ['default'] }));
  assert.equal(stateOf(forged, 'default'), 'unmanaged');
});

test('a stale annotation element of a NIC that was never plugged holds nothing up', () => {
  const { networks } = runningVm([blue]).pod ?? {};
  assert.ok(networks);
  const vm = { ...withPod(runningVm(), { networks }), owned: ['blue'] };
  const diff = diffOne([], vm);
  assert.equal(stateOf(diff, 'blue'), 'released');
  assert.deepEqual(brief(diff, 'blue'), []);
});

test('a bridge NIC called like an SR-IOV alias is told from it', () => {
  const fast: NicOptions = { name: 'fast', binding: 'sriov' };
  const twin: NicOptions = { name: 'sriov-fast' };
  const diff = diffOne([fast, twin], { ...runningVm([fast, twin]), domain: runningVm([twin]).domain });
  assert.equal(stateOf(diff, 'fast'), 'arriving');
  assert.equal(stateOf(diff, 'sriov-fast'), 'converged');
});

test('attachments come declared first, then owned, then the rest', () => {
  const names = ['zeta', 'alpha', 'own2', 'own1', 'wild'];
  const vm = runningVm(
    names.map((name) => ({ name })),
    { owned: ['own2', 'own1', 'zeta'] },
  );
  const diff = diffOne([{ name: 'zeta' }, { name: 'alpha' }], vm);
  assert.deepEqual(
    diff.attachments.map(({ name, state }) => `${name} ${state}`),
    ['zeta converged', 'alpha converged', 'own1 surplus', 'own2 surplus', 'default unmanaged', 'wild unmanaged'],
  );
});

test('names that JavaScript knows by itself are names like others', () => {
  const odd = runningVm([{ name: '__proto__' }, { name: 'constructor' }], { owned: ['__proto__', 'constructor'] });
  const diff = diffOne([{ name: 'constructor' }], odd);
  assert.equal(stateOf(diff, 'constructor'), 'converged');
  assert.equal(stateOf(diff, '__proto__'), 'surplus');
  assert.equal(Reflect.get({}, 'vm'), undefined);
});

test('domain XML is asked for where it can change a plan', () => {
  const unreadVm = (nics: readonly NicOptions[]) => ({ ...runningVm(nics), domain: unread });
  assert.equal(needsDomainXml(diffOne([blue], unreadVm([blue]))), false);
  assert.equal(needsDomainXml(diffOne([blue], unreadVm([blue]), 8)), true);
  assert.equal(needsDomainXml(diffOne([blue], unreadVm([]))), true);
  assert.equal(needsDomainXml(diffOne([blue], runningVm())), false);
  assert.equal(needsDomainXml(diffOne([blue], stoppedVm())), false);
  assert.equal(needsDomainXml(diffOne([blue], undefined)), false);
  const refused = { ...runningVm(), domain: { kind: 'unread', why: 'forbidden' } as const };
  assert.equal(needsDomainXml(diffOne([blue], refused)), false);
});

test('the wanted attachment is handed on', () => {
  assert.deepEqual(diffOne([blue], runningVm()).attachments[0]?.wanted, attachment(blue));
});
