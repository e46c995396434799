import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readVirshFailure, type VirshFailure } from './libvirt-failures.ts';

const prefix = 'error: Failed to attach device from /dev/shm/nic.xml\n';
const texts: readonly [VirshFailure, boolean, string][] = [
  ['no-port', false, `${prefix}error: internal error: No more available PCI slots`],
  ['tap-busy', false, `${prefix}error: Unable to create tap device tap1: Device or resource busy`],
  ['tap-missing', false, `${prefix}error: internal error: target managed='no' but specified dev doesn't exist`],
  ['alias-taken', true, `${prefix}error: unsupported configuration: non unique alias detected: ua-red`],
  [
    'bad-device',
    false,
    "error: internal error: unable to execute QEMU command 'device_add': 'X' is not a valid device model name",
  ],
  ['bad-device', false, "error: XML error: expected unicast mac address, found multicast '01:00:00:00:00:01'"],
  [
    'device-absent',
    true,
    'error: Failed to detach device with alias ua-red\nerror: internal error: no device found with alias ua-red',
  ],
  [
    'unplug-pending',
    true,
    "error: internal error: unable to execute QEMU command 'device_del': Device ua-red is already in the process of unplug",
  ],
  [
    'guest-busy',
    true,
    "error: internal error: unable to execute QEMU command 'device_del': Hot-unplug failed: guest is busy (power indicator blinking)",
  ],
  [
    'domain-busy',
    true,
    `${prefix}error: Timed out during operation: cannot acquire state change lock (held by monitor=remoteDispatchDomainDetachDeviceFlags)`,
  ],
  ['not-running', false, 'error: Requested operation is not valid: domain is not running'],
  ['no-domain', false, "error: failed to get domain 'vm'"],
  [
    'no-daemon',
    true,
    "error: failed to connect to the hypervisor\nerror: Failed to connect socket to '/s': Connection refused",
  ],
  ['unknown', false, 'error: something new'],
];
for (const [failure, retryable, stderr] of texts) {
  test(`${failure}: ${stderr.split('\n').at(-1)}`, () => {
    const read = readVirshFailure(`${stderr}\n\n`);
    assert.deepEqual({ failure: read.failure, retryable: read.retryable }, { failure, retryable });
    assert.ok(!read.message.startsWith('error:') && !read.message.includes('nic.xml'), read.message);
  });
}
