import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hookPorts, rootPortHook, withHook } from './kubevirt-sidecar.ts';
import { parseDomain } from './libvirt-domain.ts';

const xml = `<domain type='kvm'>\n<name>prod_db-0</name>\n<devices><video><model type="vga"/></video></devices>\n<metadata>50% &amp; 'more' \\n $HOME <devices></devices> %s</metadata></domain>`;

/** Runs the script on each XML in turn, as KubeVirt's sidecar calls it. */
function run(ports: number, ...inputs: readonly string[]): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), 'patchpanel-hook-'));
  try {
    const { script, key } = rootPortHook({ name: 'db-0' }, ports);
    const file = join(folder, key);
    writeFileSync(file, script, { mode: 0o755 });
    return inputs.map((input) =>
      execFileSync(file, ['--vmi', '{"kind":"x"}', '--domain', input], { encoding: 'utf8' }),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function indexes(printed: string): readonly number[] {
  return parseDomain(printed).pciControllers.map(({ index }) => index);
}

const oneTo = (last: number): readonly number[] => Array.from({ length: last }, (_, index) => index + 1);

test('the script gives a domain so many root ports, and changes nothing else', () => {
  const [printed = ''] = run(24, xml);
  const without = printed.replaceAll(/<controller type='pci' index='\d+' model='pcie-root-port'\/>/g, '');
  assert.equal(printed.split('pcie-root-port').length - 1, 24);
  assert.equal(without, xml);
  assert.equal(parseDomain(printed).name, 'prod_db-0');
  assert.deepEqual(indexes(printed), oneTo(24));
});

test('run on what it printed, or on what libvirt made of that, it adds nothing twice', () => {
  const [first = ''] = run(24, xml);
  assert.deepEqual(run(24, first), [first]);
  // As libvirt prints it, and as KubeVirt does: other quotes, other attributes, an address inside.
  const placed = `<domain type="kvm"><devices>
    <controller type="usb" index="3" model="none"></controller>
    <controller type="pci" index="0" model="pcie-root"></controller>
    <controller type="pci" index="2" model="pcie-root-port"><target chassis="2" port="0x9"/><address type="pci" bus="0x00"/></controller>
    <controller index='4' model='pcie-root-port' type='pci'/>
    <controller type='scsi' index='1' model='virtio-non-transitional'/>
  </devices></domain>`;
  const [printed = ''] = run(5, placed);
  assert.deepEqual(
    indexes(printed).toSorted((a, b) => a - b),
    [0, 1, 2, 3, 4, 5],
  );
});

test('a domain with more ports than are asked for', () => {
  const many = `<domain><devices>${oneTo(9)
    .map((index) => `<controller type='pci' index='${index}' model='pcie-root-port'/>`)
    .join('')}</devices></domain>`;
  assert.deepEqual(run(4, many), [many]);
});

test('the ConfigMap has a name that a volume can have', () => {
  assert.equal(rootPortHook({ name: 'db-0' }, 24).configMap, 'db-0-root-ports');
  const names = ['a.b', 'a-b', 'x'.repeat(60), `${'x'.repeat(60)}y`].map((name) => rootPortHook({ name }, 4).configMap);
  for (const name of names) assert.match(name, /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
  assert.equal(new Set(names).size, 4);
});

test('the annotation keeps sidecars of others, and one entry of ours', () => {
  const hook = rootPortHook({ name: 'db-0' }, 24);
  const own = {
    args: ['--version', 'v1alpha2'],
    configMap: { name: 'db-0-root-ports', key: 'root-ports-24.sh', hookPath: '/usr/bin/onDefineDomain' },
  };
  assert.deepEqual(JSON.parse(withHook(undefined, hook) ?? ''), [own]);
  assert.deepEqual(JSON.parse(withHook('', hook) ?? ''), [own]);
  const smbios = { image: 'registry:5000/smbios:devel', args: ['--version', 'v1alpha2'] };
  const script = { args: ['--version', 'v1alpha3'], configMap: { name: 'mine', key: 'a.sh', hookPath: '/usr/bin/x' } };
  const before = withHook(JSON.stringify([smbios, script]), rootPortHook({ name: 'db-0' }, 12));
  assert.deepEqual(JSON.parse(withHook(before, hook) ?? ''), [smbios, script, own]);
  for (const broken of ['{', '{}', '"text"']) assert.equal(withHook(broken, hook), undefined);
});

test('the annotation tells how many ports', () => {
  const annotation = withHook(undefined, rootPortHook({ name: 'x'.repeat(80) }, 30));
  assert.equal(hookPorts(annotation), 30);
  const foreign = '[{"configMap":{"name":"mine","key":"root-ports-9.sh"}}]';
  for (const other of [undefined, '', '{', '[]', '[null]', '[{"image":"a"}]', foreign])
    assert.equal(hookPorts(other), undefined);
});
