/** A domain that libvirt runs inside a pod: its NICs hang on taps and bridges in the network namespace of the pod. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nicAlias } from '../../reconcile/systems/kubevirt-names.ts';
import type { Device } from '../../sandbox/node/libvirt-devices.ts';
import { nicDeviceXml } from '../../templates/device-xml.ts';
import { sourceXml } from '../libvirt/domain-source.ts';
import { whatIsMissing as labLacks } from '../libvirt/install.ts';
import { Lab } from '../libvirt/lab.ts';
import { whatIsMissing } from './install.ts';
import { PodStage, realTest } from './stage.ts';

const devices: readonly Device[] = [
  ...[1, 2, 3, 4].map((index): Device => ({ kind: 'pci', index, model: 'pcie-root-port' })),
  { kind: 'controller', type: 'usb', index: 0, model: 'none' },
  { kind: 'memballoon', model: 'none' },
];
const guestMac = '02:00:00:00:0a:01';
/** The address that Linux gives itself on a link, of that MAC. */
const guestAddress = 'fe80::ff:fe00:a01';

function missing(): readonly string[] {
  return [...new Set([...whatIsMissing(), ...labLacks()])];
}

realTest('a NIC from CNI to a Linux in a pod, by hand: plug, traffic, unplug', missing, async (context) => {
  const stage = await PodStage.start(context);
  await stage.network('plain', { type: 'bridge', bridge: 'br-plain', mtu: 1480, ipam: {} });
  await stage.pod('peer', [{ name: 'plain', interface: 'net1' }]);
  const appliance = await stage.pod('appliance', [], 'compute');
  const lab = await Lab.up({ within: stage.plugins.prefixOf(appliance.metadata.uid ?? '') });
  // Before the sandbox, in whose namespaces it lives.
  try {
    await plugAndUnplug(stage, lab);
  } finally {
    await lab.down();
  }
});

async function plugAndUnplug(stage: PodStage, lab: Lab): Promise<void> {
  await lab.define(sourceXml({ name: 'guest', devices, linux: true, serialFile: lab.serialFile('guest') }));
  await lab.start('guest');
  await lab.booted('guest');

  const run = async (...command: readonly string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await stage.exec('appliance', ...command);
    assert.equal(exitCode, 0, `${command.join(' ')}: ${stderr}`);
    return stdout;
  };
  const virsh = (...words: readonly string[]): Promise<string> => run('virsh', '-c', lab.uri, ...words);
  assert.equal((await virsh('list', '--name')).trim(), 'guest');
  assert.deepEqual(await stage.links('appliance'), ['eth0']);

  await stage.edit('appliance', [{ name: 'plain', interface: 'net1' }]);
  await stage.shows('appliance', 'net1');
  await run('ip', 'link', 'add', 'k6t-net1', 'type', 'bridge');
  await run('ip', 'tuntap', 'add', 'dev', 'tapnet1', 'mode', 'tap');
  await run('ip', 'link', 'set', 'dev', 'tapnet1', 'mtu', '1480');
  for (const port of ['net1', 'tapnet1']) await run('ip', 'link', 'set', 'dev', port, 'master', 'k6t-net1');
  for (const link of ['tapnet1', 'k6t-net1']) await run('ip', 'link', 'set', 'dev', link, 'up');
  const file = join(lab.folder, 'nic.xml');
  writeFileSync(file, nicDeviceXml({ name: 'red', mac: guestMac, tap: 'tapnet1', mtu: 1480 }));
  assert.match(await virsh('attach-device', 'guest', file, '--live'), /^Device attached successfully/);
  await lab.guestSays('guest', new RegExp(`nic add \\S+ ${guestMac} mtu 1480 `));
  await stage.answers('peer', guestAddress, 'net1');

  await virsh('detach-device-alias', 'guest', nicAlias('red'), '--live');
  await lab.until('guest', 'red gone', ({ nics }) => nics.length === 0);
  await lab.guestSays('guest', /nic remove/);
  // libvirt leaves a tap that it did not make.
  for (const link of ['tapnet1', 'k6t-net1']) await run('ip', 'link', 'del', 'dev', link);
  await stage.edit('appliance', []);
  await stage.showsNo('appliance', 'net1');
  assert.deepEqual(await stage.links('appliance'), ['eth0']);
}
