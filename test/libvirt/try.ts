/**
 * A lab to try things in: `node test/libvirt/try.ts [PORTS]` boots a Linux with so many ports and two spare taps, shows how
 * to reach it, prints what the guest says, and ends all of it at Ctrl-C.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Device } from '../../sandbox/node/libvirt-devices.ts';
import { nicDeviceXml } from '../../templates/device-xml.ts';
import { sourceXml } from './domain-source.ts';
import { whatIsMissing } from './install.ts';
import { Lab } from './lab.ts';

const missing = whatIsMissing();
if (missing.length > 0) throw new Error(`needs ${missing.join(', ')}: run node test/libvirt/install.ts`);

const count = Number(process.argv[2] ?? 4);
let ended = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    ended = true;
  });
}

const lab = await Lab.up();
try {
  const ports = Array.from(
    { length: count },
    (_, at): Device => ({
      kind: 'pci',
      index: at + 1,
      model: 'pcie-root-port',
    }),
  );
  const bare: readonly Device[] = [
    { kind: 'controller', type: 'usb', index: 0, model: 'none' },
    { kind: 'memballoon', model: 'none' },
  ];
  const serialFile = lab.serialFile('guest');
  await lab.define(sourceXml({ name: 'guest', devices: [...ports, ...bare], serialFile, linux: true }));
  await lab.start('guest');
  for (const tap of ['tap1', 'tap2']) lab.tap(tap);
  console.log(`export LIBVIRT_DEFAULT_URI='${lab.uri}'`);
  console.log('virsh dumpxml guest | npx patchpanel inspect ports');
  console.log('virsh attach-device guest nic.xml --live, with this in nic.xml:');
  console.log(nicDeviceXml({ name: 'red', mac: '02:00:00:00:00:01', tap: 'tap1' }));
  let shown = 0;
  while (!ended) {
    const lines = lab.guestLines('guest');
    for (const line of lines.slice(shown)) console.log(line);
    shown = lines.length;
    await sleep(200);
  }
} finally {
  await lab.down();
}
