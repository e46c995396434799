/**
 * Runs the parsers over a folder of recorded cases, where the environment names one: annotation values with what each
 * parser makes of them, network-status samples, and domain XML from before and after NICs were attached until libvirt
 * refused.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { recordings } from '../../test/recordings.ts';
import { parseDomain } from './libvirt-domain.ts';
import { countPorts, nextPort, portPool } from './libvirt-ports.ts';
import { networksParsers, type ParsedNetworks, parseNetworks } from './multus-networks.ts';
import {
  defaultInterface,
  dynamicControllerKeys,
  type NetworkStatus,
  nonDefaultEntries,
  parseNetworkStatus,
} from './multus-status.ts';

const { path: folder, skip } = recordings();

interface Outcome {
  readonly ok: boolean;
  readonly elements?: readonly unknown[];
  readonly error?: string;
  readonly errorPrefix?: string;
  readonly panic?: string;
}

interface AnnotationCase {
  readonly id: string;
  readonly podNamespace: string;
  readonly input: string;
  readonly expected?: Outcome;
  readonly expectedByParser?: Readonly<Record<string, Outcome>>;
}

interface StatusSample {
  readonly id: string;
  readonly raw: string;
  readonly valid: boolean;
  readonly parsed?: readonly NetworkStatus[];
  readonly defaultInterface?: string | null;
  readonly nonDefault?: readonly object[];
  readonly dynamicControllerKeys?: readonly string[];
}

function agree(found: ParsedNetworks, expected: Outcome, id: string): void {
  if (expected.ok) {
    assert.ok(found.ok, `${id}: ${found.ok ? '' : found.error}`);
    assert.deepEqual(found.elements, expected.elements, id);
    return;
  }
  assert.ok(!found.ok, id);
  assert.equal(found.crash, expected.panic !== undefined, id);
  if (expected.error !== undefined) assert.equal(found.error, expected.error, id);
  if (expected.errorPrefix !== undefined)
    assert.ok(found.error.startsWith(expected.errorPrefix), `${id}: ${found.error}`);
}

test('recorded annotation values', { skip }, (context: TestContext) => {
  const { cases }: { cases: readonly AnnotationCase[] } = JSON.parse(
    readFileSync(join(folder, 'multus-annotation-cases.json'), 'utf8'),
  );
  for (const { id, podNamespace, input, expected, expectedByParser } of cases) {
    for (const parser of networksParsers) {
      const outcome = expected ?? expectedByParser?.[parser];
      assert.ok(outcome !== undefined, id);
      agree(parseNetworks(input, podNamespace, parser), outcome, `${id} (${parser})`);
    }
  }
  context.diagnostic(`${cases.length} annotation values agree for ${networksParsers.length} parsers`);
});

test('recorded network-status', { skip }, (context: TestContext) => {
  const { samples }: { samples: readonly StatusSample[] } = JSON.parse(
    readFileSync(join(folder, 'network-status-samples.json'), 'utf8'),
  );
  for (const sample of samples) {
    const parsed = parseNetworkStatus(sample.raw);
    assert.equal(parsed.ok, sample.valid, sample.id);
    if (!parsed.ok) continue;
    assert.deepEqual(parsed.entries, sample.parsed, sample.id);
    assert.equal(defaultInterface(parsed.entries) ?? null, sample.defaultInterface, sample.id);
    assert.deepEqual(dynamicControllerKeys(parsed.entries), sample.dynamicControllerKeys, sample.id);
    const names = nonDefaultEntries(parsed.entries).map(({ name, interface: nic }) => {
      return nic === undefined ? { name } : { name, interface: nic };
    });
    assert.deepEqual(names, sample.nonDefault, sample.id);
  }
  context.diagnostic(`${samples.length} network-status samples agree`);
});

function domainsIn(name: string): readonly string[] {
  const path = join(folder, 'domain-xml', name);
  return existsSync(path)
    ? readdirSync(path)
        .filter((file) => file.endsWith('.xml'))
        .sort()
    : [];
}

function readDomain(name: string, file: string) {
  return parseDomain(readFileSync(join(folder, 'domain-xml', name, file), 'utf8'));
}

test('what libvirt attached until it refused is what was free', { skip }, (context: TestContext) => {
  const pairs = domainsIn('captured').filter((file) => file.endsWith('-0-boot.xml'));
  for (const file of pairs) {
    const boot = readDomain('captured', file);
    const full = readDomain('captured', file.replace('-0-boot.xml', '-1-exhausted.xml'));
    const attached = full.nics.filter(({ mac }) => !boot.nics.some((nic) => nic.mac === mac));
    const pool = portPool(attached[0]?.model ?? 'virtio');
    assert.equal(countPorts(boot, pool).free, attached.length, file);
    assert.equal(countPorts(full, pool).free, 0, file);
    assert.deepEqual(nextPort(boot, pool), attached[0]?.address, file);
  }
  context.diagnostic(`${pairs.length} pairs of captured domains agree`);
});

test("domains of KubeVirt's shape have the free ports that their file names tell", { skip }, (context: TestContext) => {
  let checked = 0;
  for (const file of domainsIn('kubevirt')) {
    const told = /-(\d+)free/.exec(file)?.[1] ?? (file.includes('noports') ? '0' : undefined);
    const { free } = countPorts(readDomain('kubevirt', file));
    if (told === undefined) continue;
    assert.equal(free, Number(told), file);
    checked += 1;
  }
  context.diagnostic(`${checked} domains of KubeVirt's shape agree`);
});
