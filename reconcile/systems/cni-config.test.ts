import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkCniConfig } from './cni-config.ts';

function good(config: object) {
  const checked = checkCniConfig(JSON.stringify(config), { namespace: 'prod', name: 'net' });
  assert.ok(checked.ok, checked.ok ? '' : checked.problem);
  return checked;
}

function problem(config: string | object | undefined): string {
  const checked = checkCniConfig(typeof config === 'object' ? JSON.stringify(config) : config);
  assert.ok(!checked.ok, JSON.stringify(checked));
  return checked.problem;
}

test('a list of plugins', () => {
  const config = {
    cniVersion: '1.0.0',
    name: 'net',
    plugins: [
      { type: 'bridge', bridge: 'br1', capabilities: { mac: true, ips: false }, ipam: { type: 'host-local' } },
      { type: 'tuning', capabilities: { mac: true, bandwidth: true } },
    ],
  };
  assert.deepEqual(good(config), {
    ok: true,
    type: 'bridge',
    plugins: ['bridge', 'tuning'],
    capabilities: ['bandwidth', 'mac'],
    cniVersion: '1.0.0',
    ipam: 'host-local',
    warnings: [],
  });
});

test('a single plugin, as most networks of KubeVirt have it', () => {
  const { type, capabilities, warnings } = good({ cniVersion: '0.3.1', type: 'cnv-bridge', bridge: 'br1', ipam: {} });
  assert.deepEqual({ type, capabilities, warnings }, { type: 'cnv-bridge', capabilities: [], warnings: [] });
});

test('what Multus or libcni would refuse, in words', () => {
  const cases: readonly (readonly [string | object | undefined, RegExp])[] = [
    [undefined, /^is empty/],
    ['', /^is empty/],
    [' \n', /^is empty/],
    ['{"type": "bridge"', /^is not JSON: unexpected end of JSON input$/],
    ['type: bridge', /^is not JSON: invalid character 'y' in literal true/],
    ['[]', /^is a JSON array/],
    ['"bridge"', /^is a JSON string/],
    ['null', /^is null/],
    [{}, /neither "type" nor "plugins"/],
    [{ type: '' }, /neither "type" nor "plugins"/],
    [{ type: 5 }, /"type" that is not a string/],
    [{ plugins: {} }, /not a list/],
    [{ plugins: [] }, /empty list of "plugins"/],
    [{ plugins: ['bridge'] }, /plugin 1 that is not an object/],
    [{ plugins: [{ type: 'bridge' }, {}] }, /plugin 2 without "type"/],
    [{ type: '../bridge' }, /file name/],
    [{ type: 'bridge', name: 'my net' }, /name "my net"/],
    [{ type: 'bridge', name: 7 }, /"name" that is not a string/],
    [{ type: 'bridge', cniVersion: '9.9.9' }, /cniVersion "9.9.9"/],
    [{ type: 'bridge', cniVersion: 1 }, /"cniVersion" that is not a string/],
    [{ type: 'bridge', cniVersions: ['9.9.9'] }, /no known CNI version/],
    [{ type: 'bridge', cniVersions: '1.0.0' }, /"cniVersions"/],
    [{ type: 'bridge', disableCheck: 'maybe' }, /"disableCheck"/],
    [{ type: 'bridge', capabilities: ['mac'] }, /"capabilities"/],
    [{ type: 'bridge', capabilities: { mac: 'yes' } }, /capability "mac"/],
  ];
  for (const [config, text] of cases) assert.match(problem(config), text, JSON.stringify(config));
});

test('what works but should be known', () => {
  const warned = (config: object) => good(config).warnings.join('\n');
  assert.match(warned({ type: 'bridge' }), /no cniVersion/);
  assert.match(warned({ type: 'bridge', cniVersion: '0.2.0' }), /0\.2\.0/);
  assert.match(warned({ type: 'bridge', cniVersion: '1.1.0' }), /only lists/);
  assert.match(warned({ type: 'bridge', cniVersion: '0.4.0', args: {}, prevResult: {} }), /"args".*\n.*"prevResult"/);
  const ovn = { type: 'ovn-k8s-cni-overlay', cniVersion: '0.4.0', netAttachDefName: 'prod/net' };
  assert.equal(warned(ovn), '');
  assert.match(warned({ ...ovn, netAttachDefName: 'other/net' }), /netAttachDefName/);
  assert.match(warned({ ...ovn, role: 'primary' }), /role primary/);
  assert.equal(
    good({ type: 'bridge', cniVersion: '0.4.0', cniVersions: ['0.3.1', '1.1.0', '9.0.0'] }).cniVersion,
    '1.1.0',
  );
  assert.equal(warned({ type: 'bridge', cniVersion: '0.4.0', disableCheck: 'true' }), '');
});

test('any text gives a typed result', () => {
  const config = fc.dictionary(
    fc.constantFrom('type', 'plugins', 'name', 'cniVersion', 'capabilities', '__proto__'),
    fc.jsonValue(),
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        config.map((value) => JSON.stringify(value)),
      ),
      (value) => {
        const checked = checkCniConfig(value);
        assert.notEqual(checked.ok ? checked.type : checked.problem, '');
      },
    ),
    { numRuns: 500 },
  );
});
