/**
 * A lab to try things in, until Ctrl-C. `node test/libvirt/try.ts [PORTS]` boots a Linux with so many ports and two spare taps,
 * shows how to reach it and prints what the guest says. `node test/libvirt/try.ts sandbox` starts the sandbox too, where that
 * Linux is the VM demo/web-0: exec in its launcher pod runs the real virsh, and what is plugged there is plugged here.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { virtualMachineInstances } from '../../reconcile/kube/resources.ts';
import type { Device } from '../../sandbox/node/libvirt-devices.ts';
import { realVirsh } from '../../sandbox/node/real-virsh.ts';
import { assembleSandbox } from '../../sandbox/sandbox.ts';
import { nicDeviceXml } from '../../templates/device-xml.ts';
import { sourceXml } from './domain-source.ts';
import { follower } from './follower.ts';
import { whatIsMissing } from './install.ts';
import { launch } from './kubevirt-launch.ts';
import { Lab } from './lab.ts';

const missing = whatIsMissing();
if (missing.length > 0) throw new Error(`needs ${missing.join(', ')}: run node test/libvirt/install.ts`);

let ended = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    ended = true;
  });
}

const lab = await Lab.up();
try {
  if (process.argv[2] === 'sandbox') await withSandbox();
  else await alone(Number(process.argv[2] ?? 4));
} finally {
  await lab.down();
}

async function alone(count: number): Promise<void> {
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
  await listen('guest');
}

async function withSandbox(): Promise<void> {
  const [namespace, vm] = ['demo', 'web-0'];
  const name = `${namespace}_${vm}`;
  const { onDomain, settled } = follower(lab, name);
  const sandbox = await assembleSandbox({
    exec: realVirsh({ uri: lab.uri, domains: new Map([[name, name]]) }),
    onDomain,
  });
  try {
    const vmi = await sandbox.admin.get(virtualMachineInstances, namespace, vm);
    if (vmi === undefined) throw new Error(`the sandbox has no ${namespace}/${vm}`);
    await launch(lab, name, vmi, { linux: true });
    const kubeconfig = join(lab.folder, 'kubeconfig');
    writeFileSync(kubeconfig, sandbox.kubeconfig, { mode: 0o600 });
    console.log(`export KUBECONFIG='${kubeconfig}' LIBVIRT_DEFAULT_URI='${lab.uri}'`);
    console.log('npx patchpanel plan examples/desired-state');
    console.log(`virsh dumpxml ${name} | npx patchpanel inspect ports`);
    await listen(name);
  } finally {
    await sandbox.stop();
    await settled();
  }
}

/** Prints what a guest says, until the end. */
async function listen(name: string): Promise<void> {
  let shown = 0;
  while (!ended) {
    const lines = lab.guestLines(name);
    for (const line of lines.slice(shown)) console.log(line);
    shown = lines.length;
    await sleep(200);
  }
}
