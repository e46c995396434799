import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { KubeObject } from '../../reconcile/kube/cluster.ts';
import { fields, items } from '../../reconcile/systems/json-shape.ts';
import { recordings } from '../../test/recordings.ts';
import type { AdmissionDenial, AdmissionRequest, ResourceDefinition } from '../api/contract.ts';
import { applyJsonPatch } from '../api/patch.ts';
import { kubevirtAdmission } from './admission.ts';
import { virtualMachineDefinition, virtualMachineInstanceDefinition } from './resources.ts';
import type { Schema } from './schema.ts';
import { kubevirtSubresourceNames } from './subresources.ts';

const controller = 'system:serviceaccount:kubevirt:kubevirt-controller';

/** What a server does with the hooks: refuse, mutate, validate. */
function admit(
  resource: ResourceDefinition,
  operation: 'CREATE' | 'UPDATE',
  object: unknown,
  oldObject?: KubeObject,
  user = 'admin',
): AdmissionDenial | KubeObject {
  const hook = kubevirtAdmission.find(({ plural }) => plural === resource.plural);
  assert.ok(hook?.refuse && hook.mutate && hook.validate);
  const request: AdmissionRequest = {
    operation,
    resource,
    name: 'web01',
    namespace: 'demo',
    object: object as KubeObject,
    ...(oldObject ? { oldObject } : {}),
    user,
    dryRun: true,
  };
  const refused = hook.refuse(request);
  if (refused) return refused;
  const mutated = hook.mutate(request);
  return hook.validate({ ...request, object: mutated }) ?? mutated;
}

function isDenial(answer: AdmissionDenial | KubeObject): answer is AdmissionDenial {
  return 'code' in answer;
}

function vmOf(spec: unknown): KubeObject {
  return { apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachine', metadata: { name: 'web01', namespace: 'demo' }, spec };
}

function stored(answer: AdmissionDenial | KubeObject): KubeObject {
  assert.ok(!isDenial(answer), 'message' in answer ? String(answer.message) : '');
  return answer;
}

function templateOf(vm: KubeObject): ReturnType<typeof fields> {
  return fields(fields(vm.spec).template);
}

function listsOf(vm: KubeObject): { readonly networks: unknown; readonly interfaces: unknown } {
  const spec = fields(templateOf(vm).spec);
  return { networks: spec.networks, interfaces: fields(fields(spec.domain).devices).interfaces };
}

interface Case {
  readonly case: string;
  readonly patch?: readonly unknown[];
  readonly create?: { readonly metadata: object; readonly interfaces?: unknown; readonly networks?: unknown };
  readonly webhook?: string;
  readonly causes?: readonly object[];
  readonly networks?: unknown;
  readonly interfaces?: unknown;
}

const fixture = JSON.parse(readFileSync(new URL('fixtures/webhook-cases.json', import.meta.url), 'utf8')) as {
  readonly spec: { readonly runStrategy: string; readonly template: { readonly spec: object } };
  readonly cases: readonly Case[];
};

const running = stored(admit(virtualMachineDefinition, 'CREATE', vmOf(fixture.spec)));

function answer(entry: Case): AdmissionDenial | KubeObject {
  if (entry.patch) {
    const patched = applyJsonPatch(structuredClone(running), entry.patch);
    return admit(virtualMachineDefinition, 'UPDATE', patched, running);
  }
  const { interfaces, networks } = entry.create ?? {};
  const spec = structuredClone(fixture.spec.template.spec) as Record<string, unknown>;
  const domain = fields(spec.domain);
  const devices = { ...fields(domain.devices), interfaces };
  const template = { metadata: entry.create?.metadata, spec: { ...spec, networks, domain: { ...domain, devices } } };
  return admit(virtualMachineDefinition, 'CREATE', vmOf({ ...fixture.spec, template }));
}

for (const entry of fixture.cases) {
  test(`webhook: ${entry.case} (${entry.patch ? 'patch' : 'create'})`, () => {
    const given = answer(entry);
    if (entry.causes) {
      assert.ok(isDenial(given), 'must be refused');
      const texts = entry.causes.map((cause) => fields(cause).message).join(', ');
      assert.equal(given.code, 422);
      assert.equal(given.message, `admission webhook "${entry.webhook}" denied the request: ${texts}`);
      assert.deepEqual(given.causes, entry.causes);
      return;
    }
    const lists = listsOf(stored(given));
    if (entry.patch) assert.deepEqual(lists, { networks: entry.networks, interfaces: entry.interfaces });
  });
}

test('long names pass, more than 256 NICs are for the schema to refuse', () => {
  for (const length of [300, 5000]) {
    const name = 'n'.repeat(length);
    const patch = [
      { op: 'add', path: '/spec/template/spec/networks/-', value: { name, multus: { networkName: 'vlan20' } } },
      { op: 'add', path: '/spec/template/spec/domain/devices/interfaces/-', value: { name, bridge: {} } },
    ];
    stored(answer({ case: 'long', patch }));
  }
  const spec = (virtualMachineDefinition.schema as Schema).properties?.spec?.properties?.template?.properties?.spec;
  assert.equal(spec?.properties?.networks?.maxItems, 256);
  assert.equal(spec?.properties?.domain?.properties?.devices?.properties?.interfaces?.maxItems, 256);
});

test('a new VM gets topology version, firmware, machine and architecture', () => {
  const template = templateOf(running);
  assert.deepEqual(fields(template.metadata).annotations, { 'kubevirt.io/pci-topology-version': 'v3' });
  const domain = fields(fields(template.spec).domain);
  assert.match(String(fields(domain.firmware).uuid), /^[\da-f]{8}-[\da-f-]{27}$/);
  assert.deepEqual(domain.resources, {});
  const bare = { runStrategy: 'Halted', template: { spec: { domain: { devices: {} } } } };
  const spec = fields(templateOf(stored(admit(virtualMachineDefinition, 'CREATE', vmOf(bare)))).spec);
  assert.equal(spec.architecture, 'amd64');
  assert.deepEqual(fields(spec.domain).machine, { type: 'q35' });
});

test('what the user set stays', () => {
  const own = {
    runStrategy: 'Halted',
    template: {
      metadata: {
        annotations: { 'kubevirt.io/pci-topology-version': 'v2', 'kubevirt.io/pci-interface-slot-count': '24' },
      },
      spec: {
        architecture: 'arm64',
        domain: { devices: {}, machine: { type: 'virt' }, firmware: { uuid: 'u', serial: 's' } },
      },
    },
  };
  const template = templateOf(stored(admit(virtualMachineDefinition, 'CREATE', vmOf(own))));
  assert.deepEqual(fields(template.metadata).annotations, own.template.metadata.annotations);
  assert.equal(fields(template.spec).architecture, 'arm64');
  assert.deepEqual(fields(fields(fields(template.spec).domain).firmware), { uuid: 'u', serial: 's' });
});

test('a VM without a template or with a wrong type is refused by the mutator', () => {
  const denied = admit(virtualMachineDefinition, 'CREATE', vmOf({ running: 'yes' }));
  assert.ok(isDenial(denied));
  assert.equal(
    denied.message,
    'admission webhook "virtualmachines-mutator.kubevirt.io" denied the request: spec.running in body must be of type boolean: "string", spec.template in body is required',
  );
});

test('an update keeps what a create would have filled in', () => {
  const edited = structuredClone(running) as unknown as { spec: { template: { metadata: { annotations?: object } } } };
  delete edited.spec.template.metadata.annotations;
  const template = templateOf(stored(admit(virtualMachineDefinition, 'UPDATE', edited, running)));
  assert.equal(fields(template.metadata).annotations, undefined);
});

test('a VMI lists a pod network where it lists none', () => {
  const vmi = { metadata: { name: 'web01' }, spec: { domain: { devices: {} } } };
  const made = stored(admit(virtualMachineInstanceDefinition, 'CREATE', vmi, undefined, controller));
  const spec = fields(made.spec);
  assert.deepEqual(spec.networks, [{ name: 'default', pod: {} }]);
  assert.deepEqual(items(fields(fields(spec.domain).devices).interfaces), [{ name: 'default', masquerade: {} }]);
  assert.equal(fields(made.status).phase, 'Pending');
  const told = { ...vmi, spec: { domain: { devices: { autoattachPodInterface: false } } } };
  assert.equal(fields(stored(admit(virtualMachineInstanceDefinition, 'CREATE', told)).spec).networks, undefined);
});

test('the spec of a VMI is for KubeVirt alone to change', () => {
  const vmi = stored(
    admit(virtualMachineInstanceDefinition, 'CREATE', {
      metadata: { name: 'web01' },
      spec: { domain: { devices: {} } },
    }),
  );
  const changed = structuredClone(vmi) as unknown as { spec: { networks: object[] } };
  changed.spec.networks = [];
  const denied = admit(virtualMachineInstanceDefinition, 'UPDATE', changed, vmi);
  assert.ok(isDenial(denied));
  assert.equal(
    denied.message,
    'admission webhook "virtualmachineinstances-update-validator.kubevirt.io" denied the request: update of VMI object is restricted',
  );
  assert.deepEqual(denied.causes, [
    { reason: 'FieldValueNotSupported', message: 'update of VMI object is restricted' },
  ]);
  stored(admit(virtualMachineInstanceDefinition, 'UPDATE', changed, vmi, controller));
  const labelled = { ...vmi, metadata: { ...vmi.metadata, labels: { a: 'b' } } };
  stored(admit(virtualMachineInstanceDefinition, 'UPDATE', labelled, vmi));
});

interface Recording {
  readonly steps: readonly {
    readonly name?: string;
    readonly request?: { readonly method: string; readonly path: string; readonly body?: unknown };
    readonly response?: { readonly status: number; readonly body: unknown };
  }[];
  readonly table: readonly {
    readonly case: string;
    readonly on?: string;
    readonly status: number;
    readonly message?: string;
    readonly causes?: readonly object[];
  }[];
}

const { path: flows, skip } = recordings('kubevirt-flow');

/** Cases that the API server answers from what it is given here; returns whether it is given the right things. */
const byServer: Readonly<Record<string, () => boolean>> = {
  '260 NICs': () => {
    const spec = (virtualMachineDefinition.schema as Schema).properties?.spec?.properties?.template?.properties?.spec;
    return spec?.properties?.networks?.maxItems === 256;
  },
  'unknown field strict': () => {
    const schema = JSON.stringify(virtualMachineDefinition.schema);
    return !schema.includes('"mtu"');
  },
  addinterface: () => !kubevirtSubresourceNames.includes('addinterface'),
  removeinterface: () => !kubevirtSubresourceNames.includes('removeinterface'),
};

type Entry = Recording['table'][number];

function requestOf(recording: Recording, entry: Entry): { readonly method: string; readonly body?: unknown } {
  const kind = entry.on === 'create' ? 'create' : 'patch';
  const name = entry.on === 'VMI' ? 'patch the VMI directly (add a NIC)' : `${kind}: ${entry.case}`;
  const request = recording.steps.find((step) => step.name === name)?.request;
  assert.ok(request, name);
  return request;
}

/** Whether the hooks answer a recorded case as virt-api did. */
function agrees(recording: Recording, entry: Entry, start: KubeObject): boolean {
  const server = byServer[entry.case];
  if (server) return server();
  const { method, body } = requestOf(recording, entry);
  const onVmi = entry.on === 'VMI';
  const base = onVmi ? { metadata: { name: 'web01' }, spec: templateOf(start).spec } : start;
  const resource = onVmi ? virtualMachineInstanceDefinition : virtualMachineDefinition;
  const given =
    method === 'POST'
      ? admit(resource, 'CREATE', body)
      : admit(resource, 'UPDATE', applyJsonPatch(structuredClone(base), items(body)), base);
  if (!isDenial(given)) return entry.status === (method === 'POST' ? 201 : 200);
  const sameCauses = onVmi || JSON.stringify(given.causes) === JSON.stringify(entry.causes);
  return given.code === entry.status && given.message === entry.message && sameCauses;
}

test('every recorded case of the webhooks is answered alike', { skip }, (context) => {
  const file = path.join(flows, '15-invalid-patches.json');
  const recording = JSON.parse(readFileSync(file, 'utf8')) as Recording;
  const made = recording.steps.find((step) => step.name === 'create VM');
  const start = stored(admit(virtualMachineDefinition, 'CREATE', made?.request?.body));
  const differ = recording.table.filter((entry) => !agrees(recording, entry, start)).map((entry) => entry.case);
  context.diagnostic(`${recording.table.length - differ.length} of ${recording.table.length} recorded cases agree`);
  assert.deepEqual(differ, []);
});

/** A VM with the lists that the `test` steps of a patch expect. */
function expectedBy(patch: readonly unknown[]): KubeObject {
  const lists = new Map(patch.map(fields).flatMap(({ op, path, value }) => (op === 'test' ? [[path, value]] : [])));
  const template = structuredClone(fixture.spec.template.spec) as Record<string, unknown>;
  const domain = fields(template.domain);
  const interfaces = lists.get('/spec/template/spec/domain/devices/interfaces');
  const devices = { ...fields(domain.devices), interfaces };
  const networks = lists.get('/spec/template/spec/networks');
  return vmOf({ runStrategy: 'Always', template: { spec: { ...template, networks, domain: { ...domain, devices } } } });
}

test('refusals in recordings of other flows read alike', { skip }, (context) => {
  let agree = 0;
  for (const file of [
    '10-plug-masquerade-and-plugin.json',
    '12-absent-on-sriov.json',
    '13-absent-on-default-network.json',
  ]) {
    const { steps } = JSON.parse(readFileSync(path.join(flows, file), 'utf8')) as Recording;
    for (const { name, request, response } of steps) {
      const message = String(fields(response?.body).message ?? '');
      if (!request || !message.startsWith('admission webhook')) continue;
      const patch = items(request.body);
      const base = expectedBy(patch);
      const given =
        request.method === 'POST'
          ? admit(virtualMachineDefinition, 'CREATE', request.body)
          : admit(virtualMachineDefinition, 'UPDATE', applyJsonPatch(structuredClone(base), patch), base);
      assert.ok(isDenial(given), name);
      assert.equal(given.message, message, name);
      agree += 1;
    }
  }
  context.diagnostic(`${agree} further refusals agree`);
  assert.ok(agree > 0);
});
