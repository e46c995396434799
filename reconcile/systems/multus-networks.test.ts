import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type NetworksParser, networksParsers, parseNetworks } from './multus-networks.ts';
import { networksWarnings } from './multus-warnings.ts';

const json = 'parsePodNetworkAnnotation: failed to parse pod Network Attachment Selection Annotation JSON format: ';
const short = 'parsePodNetworkAnnotation: parsePodNetworkObjectName: ';
const shortClient = 'parsePodNetworkAnnotation: ';
const label =
  'Failed to parse: one or more items did not match comma-delimited format (must consist of lower case alphanumeric characters). Must start and end with an alphanumeric character), mismatch @ ';

function elements(value: string, parser: NetworksParser = 'dynamic-controller') {
  const parsed = parseNetworks(value, 'prod', parser);
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.error);
  return parsed.elements;
}

function error(value: string, parser: NetworksParser = 'dynamic-controller'): string {
  const parsed = parseNetworks(value, 'prod', parser);
  assert.ok(!parsed.ok, JSON.stringify(parsed));
  return parsed.error;
}

test('the short form: namespace, interface, white space, empty parts', () => {
  for (const parser of networksParsers) {
    assert.deepEqual(elements(' blue , ns2 / red @ eth7 ,', parser), [
      { name: 'blue', namespace: 'prod' },
      { name: 'red', namespace: 'ns2', interface: 'eth7' },
      { name: '', namespace: 'prod' },
    ]);
    assert.deepEqual(elements('null', parser), [{ name: 'null', namespace: 'prod' }]);
    assert.deepEqual(elements('\u0085blue\u00a0', parser), [{ name: 'blue', namespace: 'prod' }]);
  }
});

test('the short form: what each parser refuses', () => {
  assert.equal(error('a/b/c', 'multus'), `${short}Invalid network object (failed at '/')`);
  assert.equal(error('a/b/c', 'nad-client'), `${shortClient}Invalid network object (failed at '/')`);
  assert.equal(error('a@b@c'), `${short}Invalid network object (failed at '@')`);
  assert.equal(error('ok,Bad'), `${short}${label}'Bad'`);
  assert.equal(error('Ns/Bad', 'nad-client'), `${shortClient}${label}'Ns'`);
  assert.equal(error('a.b'), `${short}${label}'a.b'`);
});

test('interface names of the short form: length and letters differ', () => {
  assert.equal(elements('net1@eth1.100', 'multus')[0]?.interface, 'eth1.100');
  assert.equal(error('net1@eth1.100', 'dynamic-controller'), `${short}${label}'eth1.100'`);
  const long = 'abcdefghijklmnop';
  const tooLong =
    "Failed to parse interface name: must be less than 15 chars and not contain '/' or spaces. interface name ";
  assert.equal(error(`net1@${long}`, 'multus'), `${short}${tooLong}'${long}'`);
  assert.equal(error('net1@a b', 'multus'), `${short}${tooLong}'a b'`);
  assert.equal(elements(`net1@${long}`, 'nad-client')[0]?.interface, long);
  // 15 bytes pass, and bytes are what is counted.
  assert.equal(elements(`net1@${long.slice(1)}`, 'multus')[0]?.interface, long.slice(1));
  assert.equal(error(`net1@${'é'.repeat(8)}`, 'multus'), `${short}${tooLong}'${'é'.repeat(8)}'`);
});

test('JSON: which keys each parser keeps', () => {
  const value = JSON.stringify([
    {
      name: 'a',
      interfaceRequest: 'old1',
      deviceID: '0000:03:02.0',
      'ipam-claim-reference': 'vm.a',
      'infiniband-guid': 'c2:11:22:33:44:55:66:77',
      'cni-args': { key: { deep: [1, null] } },
      portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp', other: 1 }],
      bandwidth: { ingressRate: 2048, egressBurst: 0 },
      'default-route': ['10.0.0.1', '2001:DB8:0:0::1'],
      'example.org/owner': 'me',
    },
  ]);
  const common = {
    name: 'a',
    namespace: 'prod',
    'infiniband-guid': 'c2:11:22:33:44:55:66:77',
    'cni-args': { key: { deep: [1, null] } },
    portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
    bandwidth: { ingressRate: 2048, egressBurst: 0 },
    'default-route': ['10.0.0.1', '2001:db8::1'],
  };
  assert.deepEqual(elements(value, 'multus'), [
    { ...common, interfaceRequest: 'old1', interface: 'old1', deviceID: '0000:03:02.0' },
  ]);
  for (const parser of ['dynamic-controller', 'nad-client'] as const) {
    assert.deepEqual(elements(value, parser), [{ ...common, 'ipam-claim-reference': 'vm.a' }]);
  }
});

test('JSON: empty text is dropped, an empty list is not, null is nothing', () => {
  for (const parser of networksParsers) {
    assert.deepEqual(elements('[]', parser), []);
    assert.deepEqual(
      elements('[{"name":"a","namespace":"","mac":"","ips":[],"default-route":[],"bandwidth":null,"mtu":9}]', parser),
      [{ name: 'a', namespace: 'prod', ips: [], 'default-route': [] }],
    );
  }
});

test('JSON: keys match without regard to case, the last duplicate wins, objects merge', () => {
  assert.deepEqual(elements('[{"NAME":"a","name":"b","Interface":"net1","ip\u017f":["10.0.0.1"]}]', 'multus'), [
    { name: 'b', namespace: 'prod', interface: 'net1', ips: ['10.0.0.1'] },
  ]);
  assert.deepEqual(
    elements(
      '[{"name":"a","cni-args":{"x":1,"y":2},"cni-args":{"y":3},"bandwidth":{"ingressRate":1},"bandwidth":{"egressRate":2}}]',
    ),
    [{ name: 'a', namespace: 'prod', 'cni-args': { x: 1, y: 3 }, bandwidth: { ingressRate: 1, egressRate: 2 } }],
  );
});

test('JSON: type errors in the words of the types that each parser has', () => {
  const at = 'json: cannot unmarshal';
  const cases: readonly (readonly [string, string, string])[] = [
    [
      '{"name":"a"}',
      `${at} object into Go value of type []*types.NetworkSelectionElement`,
      `${at} object into Go value of type []*v1.NetworkSelectionElement`,
    ],
    [
      '[5]',
      `${at} number into Go value of type types.NetworkSelectionElement`,
      `${at} number into Go value of type v1.networkSelectionElement`,
    ],
    [
      '[{"ips":"10.0.0.1"}]',
      `${at} string into Go struct field NetworkSelectionElement.ips of type []string`,
      `${at} string into Go struct field networkSelectionElement.ips of type []string`,
    ],
    [
      '[{"default-route":[1]}]',
      `${at} number into Go struct field NetworkSelectionElement.default-route of type net.IP`,
      `${at} number into Go struct field networkSelectionElement.default-route of type net.IP`,
    ],
    [
      '[{"portMappings":[{"hostPort":"80"}]}]',
      `${at} string into Go struct field PortMapEntry.portMappings.hostPort of type int`,
      `${at} string into Go struct field PortMapEntry.portMappings.hostPort of type int`,
    ],
    [
      '[{"bandwidth":{"ingressRate":1.5}}]',
      `${at} number 1.5 into Go struct field BandwidthEntry.bandwidth.ingressRate of type int`,
      `${at} number 1.5 into Go struct field BandwidthEntry.bandwidth.ingressRate of type int`,
    ],
    [
      '[{"bandwidth":{"ingressRate":9223372036854775808}}]',
      `${at} number 9223372036854775808 into Go struct field BandwidthEntry.bandwidth.ingressRate of type int`,
      `${at} number 9223372036854775808 into Go struct field BandwidthEntry.bandwidth.ingressRate of type int`,
    ],
    [
      '[{"cni-args":{"x":1e999}}]',
      `${at} number 1e999 into Go struct field NetworkSelectionElement.cni-args of type float64`,
      `${at} number 1e999 into Go struct field networkSelectionElement.cni-args of type float64`,
    ],
    [
      '[{"cni-args":[]}]',
      `${at} array into Go struct field NetworkSelectionElement.cni-args of type map[string]interface {}`,
      `${at} array into Go struct field networkSelectionElement.cni-args of type map[string]interface {}`,
    ],
    // A refused address ends decoding and hides the type error before it; the client stops at its first element.
    [
      '[{"mac":1},{"default-route":["foo"]}]',
      'invalid IP address: foo',
      `${at} number into Go struct field networkSelectionElement.mac of type string`,
    ],
  ];
  for (const [value, multus, client] of cases) {
    assert.equal(error(value, 'multus'), json + multus);
    assert.equal(error(value, 'dynamic-controller'), json + client);
    assert.equal(error(value, 'nad-client'), json + client);
  }
});

test('JSON: syntax errors', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['[a]', "invalid character 'a' looking for beginning of value"],
    ['net1,{"name":"net2"}', "invalid character 'e' in literal null (expecting 'u')"],
    ['[{"name":"a"}', 'unexpected end of JSON input'],
    ['["', 'unexpected end of JSON input'],
    ['[tr', "invalid character ' ' in literal true (expecting 'u')"],
    ['[{"name":"a"},]', "invalid character ']' looking for beginning of value"],
    ['[{"name":"a",}]', "invalid character '}' looking for beginning of object key string"],
    ['[{"name" "a"}]', `invalid character '"' after object key`],
    ['[{"name":"a" "b"}]', `invalid character '"' after object key:value pair`],
    ['[{"name":"a"}{"name":"b"}]', "invalid character '{' after array element"],
    ['[] x', "invalid character 'x' after top-level value"],
    ["['a']", "invalid character '\\'' looking for beginning of value"],
    ['["a\nb"]', "invalid character '\\n' in string literal"],
    ['["\\x"]', "invalid character 'x' in string escape code"],
    ['["\\u12g4"]', "invalid character 'g' in \\u hexadecimal character escape"],
    ['[01]', "invalid character '1' after array element"],
    ['[-x]', "invalid character 'x' in numeric literal"],
    ['[1.]', "invalid character ']' after decimal point in numeric literal"],
    ['[1e]', "invalid character ']' in exponent of numeric literal"],
    ['\ufeff[]', "invalid character 'ï' looking for beginning of value"],
    ['[\u{1f600}]', "invalid character 'ð' looking for beginning of value"],
    [`${'['.repeat(10_001)}`, "invalid character '[' exceeded max depth"],
  ];
  for (const [value, text] of cases) {
    for (const parser of networksParsers) assert.equal(error(value, parser), json + text);
  }
});

test('addresses are checked by all but the NAD client', () => {
  const cases: readonly (readonly [object, string])[] = [
    [{ mac: 'x' }, 'parsePodNetworkAnnotation: failed to mac: address x: invalid MAC address'],
    [
      { 'infiniband-guid': 'c2:11' },
      'parsePodNetworkAnnotation: failed to validate infiniband GUID: address c2:11: invalid MAC address',
    ],
    [{ ips: ['10.0.0.300'] }, 'failed to parse IP address "10.0.0.300"'],
    [{ ips: ['10.0.0.01'] }, 'failed to parse IP address "10.0.0.01"'],
    [{ ips: ['fe80::1%eth0'] }, 'failed to parse IP address "fe80::1%eth0"'],
    [{ ips: [null] }, 'failed to parse IP address ""'],
    [{ ips: ['a"b\n\u200b'] }, 'failed to parse IP address "a\\"b\\n\\u200b"'],
    [{ ips: ['10.0.0.1/33'] }, 'failed to parse CIDR "10.0.0.1/33": invalid CIDR address: 10.0.0.1/33'],
    [{ ips: ['10.0.0.1/'] }, 'failed to parse CIDR "10.0.0.1/": invalid CIDR address: 10.0.0.1/'],
  ];
  for (const [element, text] of cases) {
    const value = JSON.stringify([element]);
    assert.equal(error(value, 'multus'), text);
    assert.equal(error(value, 'dynamic-controller'), text);
    elements(value, 'nad-client');
  }
  elements('[{"ips":["10.0.0.1/24","2001:db8::5/64","::ffff:1.2.3.4/100","::"],"mac":"AABB.CCDD.EEFF"}]');
});

test('a null element is told as the crash that it is', () => {
  for (const parser of networksParsers) {
    const parsed = parseNetworks('[{"name":"a"},null]', 'prod', parser);
    assert.ok(!parsed.ok && parsed.crash && parsed.error.includes('element 2 is null'));
  }
  // An element before it that is refused comes first, where elements are checked at all.
  assert.match(error('[{"mac":"x"},null]', 'multus'), /invalid MAC/);
  assert.match(error('[{"mac":"x"},null]', 'nad-client'), /crashes/);
});

function codes(value: string, parser: NetworksParser = 'dynamic-controller'): string[] {
  return networksWarnings(value, 'prod', parser).map(({ code }) => code);
}

test('warnings: none for a good value, one for each thing that goes wrong later', () => {
  const good = [{ name: 'a', namespace: 'prod', interface: 'net1', mac: '02:00:00:00:00:01', 'example.org/x': 1 }];
  assert.deepEqual(codes(JSON.stringify(good)), []);
  assert.deepEqual(codes('[]'), []);
  assert.deepEqual(codes('a@net1'), []);
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ['a', ['no-interface']],
    ['a@my_if', ['read-differently']],
    ['a@net1,b@net1', ['duplicate-interface']],
    ['a@eth0', ['bad-interface']],
    ['a@net1,', ['bad-name', 'no-interface']],
    ['[{"name":"ns/a","interface":"net1"}]', ['bad-name']],
    ['[{"name":"a","interface":"a:b"}]', ['bad-interface']],
    ['[{"name":"a","interface":"net1","deviceID":"x"}]', ['read-differently']],
    ['[{"name":"a","interface":"net1","ipam-claim-reference":"c"}]', ['read-differently']],
    [
      '[{"Name":"a","interface":"net1","foo":1,"interface":"net2"}]',
      ['suspicious-key', 'suspicious-key', 'suspicious-key'],
    ],
    ['[{"name":"a","interface":"net1","mac":"01:00:00:00:00:01"}]', ['bad-address']],
    ['[{"name":"a","interface":"net1","mac":"02:00:5e:10:00:00:00:01"}]', ['bad-address']],
    [
      '[{"name":"a","interface":"net1","ips":["10.0.0.1"],"ipam-claim-reference":"c"}]',
      ['read-differently', 'two-ip-sources'],
    ],
    [
      '[{"name":"a","interface":"n1","default-route":["10.0.0.1"]},{"name":"b","interface":"n2","default-route":["10.0.0.2"]}]',
      ['default-routes', 'default-routes'],
    ],
    ['[{"name":"a","interface":"n1","default-route":["10.0.0.1","fe80::1"]}]', []],
  ];
  for (const [value, expected] of cases) assert.deepEqual(codes(value), expected, value);
});

test('any text gives a typed result from each parser, and warnings that end', () => {
  const bits = [
    '[',
    ']',
    '{',
    '}',
    '"',
    ':',
    ',',
    '\\',
    'null',
    '1e',
    '"name"',
    '"ips"',
    'é',
    '@',
    '/',
    '\u2028',
    '\ud800',
  ];
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(fc.oneof(fc.constantFrom(...bits), fc.string())).map((parts) => parts.join('')),
    fc.json(),
    fc
      .array(fc.dictionary(fc.constantFrom('name', 'ips', 'mac', 'bandwidth', 'cni-args', '__proto__'), fc.jsonValue()))
      .map((value) => JSON.stringify(value)),
  );
  fc.assert(
    fc.property(text, fc.constantFrom(...networksParsers), (value, parser) => {
      const parsed = parseNetworks(value, 'prod', parser);
      if (parsed.ok) {
        for (const element of parsed.elements) assert.equal(typeof element.name, 'string');
      } else assert.notEqual(parsed.error, '');
      assert.ok(Array.isArray(networksWarnings(value, 'prod', parser)));
    }),
    { numRuns: 1000 },
  );
});

test('what JavaScript writes, all parsers read back', () => {
  const element = fc.record({
    name: fc.stringMatching(/^[a-z0-9]{1,8}$/),
    interface: fc.stringMatching(/^[a-z]{1,15}$/),
  });
  fc.assert(
    fc.property(fc.array(element), fc.constantFrom(...networksParsers), (list, parser) => {
      const expected = list.map((each) => ({ namespace: 'prod', ...each }));
      assert.deepEqual(elements(JSON.stringify(list, null, 2), parser), expected);
      if (list.length === 0) return;
      const shortForm = list.map((each) => `${each.name}@${each.interface}`).join(', ');
      assert.deepEqual(elements(shortForm, parser), expected);
    }),
  );
});

test('blanks without end are read in time that grows with them alone', () => {
  // A pod may carry so much in its annotations; looking on from each blank would take minutes.
  const blanks = '\u0085 \t'.repeat(80_000);
  for (const parser of networksParsers) {
    assert.equal(parseNetworks(`red${blanks}blue`, 'prod', parser).ok, false);
    assert.deepEqual(elements(`${blanks}red${blanks}`, parser), [{ name: 'red', namespace: 'prod' }]);
  }
});
