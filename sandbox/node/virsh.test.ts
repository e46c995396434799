import assert from 'node:assert/strict';
import { test } from 'node:test';
import { domainXml } from './domain-xml.ts';
import { defineDomain } from './libvirt-model.ts';
import { runCommand, virshExec } from './virsh.ts';

const domain = defineDomain({
  name: 'demo_web-0',
  uuid: '0d9f7a52-6b0f-5f2c-9d2e-1b2d6a1b0c01',
  memoryKiB: 1048576,
  vcpus: 1,
  devices: [
    {
      kind: 'interface',
      type: 'ethernet',
      mac: '02:00:00:00:0a:01',
      target: 'tap0',
      model: 'virtio-non-transitional',
      alias: 'ua-default',
    },
  ],
});

function virsh(...args: readonly string[]): ReturnType<typeof runCommand> {
  return runCommand(['virsh', ...args], [domain]);
}

test('dumpxml prints the live XML under every way to name the domain', () => {
  const uri = 'qemu+unix:///session?socket=/var/run/libvirt/virtqemud-sock';
  const ways = [
    ['dumpxml', 'demo_web-0'],
    ['dumpxml', '--domain', 'demo_web-0'],
    ['dumpxml', '--domain=demo_web-0'],
    ['-c', uri, 'dumpxml', '1'],
    ['--connect', uri, '-q', 'dumpxml', domain.uuid],
  ];
  for (const way of ways)
    assert.deepEqual(virsh(...way), { exitCode: 0, stdout: `${domainXml(domain)}\n`, stderr: '' });
});

test('lists', () => {
  assert.equal(virsh('list', '--name').stdout, 'demo_web-0\n\n');
  assert.equal(runCommand(['virsh', 'list', '--name'], []).stdout, '\n');
  assert.match(virsh('list').stdout, /^ Id {3}Name {9}State\n-+\n 1 {4}demo_web-0 {3}running\n/);
  assert.match(
    virsh('domiflist', 'demo_web-0').stdout,
    /tap0 {8}ethernet {3}- {8}virtio-non-transitional {3}02:00:00:00:0a:01/,
  );
});

test('refusals exit with 1 and the words of virsh', () => {
  const cases = [
    [['dumpxml', 'demo_no'], "error: failed to get domain 'demo_no'"],
    [['dumpxml'], "error: command 'dumpxml' requires <domain> option"],
    [['dumpxml', '--nonsense', 'x'], "error: command 'dumpxml' doesn't support option --nonsense"],
    [['frobnicate'], "error: unknown command: 'frobnicate'"],
  ] as const;
  for (const [args, text] of cases)
    assert.deepEqual(virsh(...args), { exitCode: 1, stdout: '', stderr: `${text}\n\n` });
  assert.equal(runCommand(['cat', '/etc/passwd'], [domain]).exitCode, 127);
});

test('the handler answers for the compute container alone', async () => {
  const handler = virshExec(() => domain);
  const request = {
    namespace: 'demo',
    pod: { metadata: { name: 'virt-launcher-web-0-abcde' } },
    command: ['virsh', 'list', '--name'],
    stdin: (async function* () {})(),
  };
  assert.equal((await handler({ ...request, container: 'compute' }))?.stdout, 'demo_web-0\n\n');
  assert.equal(await handler({ ...request, container: 'guest-console-log' }), undefined);
});
