import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { rootPortHook } from './kubevirt-sidecar.ts';
import { parseDomain } from './libvirt-domain.ts';

test('the script gives a domain so many root ports, and changes nothing else', () => {
  const folder = mkdtempSync(join(tmpdir(), 'patchpanel-hook-'));
  try {
    const { lines, key } = rootPortHook({ name: 'db-0' }, 24);
    const script = join(folder, key);
    writeFileSync(script, `${lines.join('\n')}\n`);
    const xml = `<domain type='kvm'>\n<name>prod_db-0</name>\n<devices><video><model type="vga"/></video></devices>\n<metadata>50% &amp; 'more' \\n $HOME</metadata></domain>`;
    // As KubeVirt's sidecar calls it.
    const printed = execFileSync('/bin/sh', [script, '--vmi', '{"kind":"x"}', '--domain', xml], { encoding: 'utf8' });
    const without = printed.replaceAll(/<controller type='pci' index='\d+' model='pcie-root-port'\/>/g, '');
    assert.equal(printed.split('pcie-root-port').length - 1, 24);
    assert.equal(without, xml);
    const { name, pciControllers } = parseDomain(printed);
    assert.equal(name, 'prod_db-0');
    assert.deepEqual(
      pciControllers.map(({ index }) => index),
      Array.from({ length: 24 }, (_, index) => index + 1),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the annotation names the ConfigMap and its key', () => {
  const { annotation, configMap, key } = rootPortHook({ name: 'db-0' }, 24);
  assert.deepEqual(JSON.parse(annotation), [
    { args: ['--version', 'v1alpha2'], configMap: { name: configMap, key, hookPath: '/usr/bin/onDefineDomain' } },
  ]);
  assert.equal(rootPortHook({ name: 'x'.repeat(253) }, 24).configMap.length, 253);
});
