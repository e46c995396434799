/** The webhooks of virt-api v1.9 for virtual machines and their instances, as hooks of the sandbox's API server. */
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from '../../reconcile/kube/cluster.ts';
import { fields, present, text } from '../../reconcile/systems/json-shape.ts';
import {
  annotations,
  foregroundDeleteFinalizer,
  kubevirtServiceAccounts,
} from '../../reconcile/systems/kubevirt-names.ts';
import type { AdmissionDenial, AdmissionHook, AdmissionRequest, StatusCause } from '../api/contract.ts';
import { deviceCauses } from './device-rules.ts';
import { remarshal, typeFaults } from './marshal.ts';
import { discontinuedBindings, networkCauses, type SpecPath } from './network-rules.ts';
import { virtualMachineDefinition, virtualMachineInstanceDefinition } from './resources.ts';
import type { Schema } from './schema.ts';

const vmMutator = 'virtualmachines-mutator.kubevirt.io';
const vmValidator = 'virtualmachine-validator.kubevirt.io';
const vmiMutator = 'virtualmachineinstances-mutator.kubevirt.io';
const vmiCreateValidator = 'virtualmachineinstances-create-validator.kubevirt.io';
const vmiUpdateValidator = 'virtualmachineinstances-update-validator.kubevirt.io';

const vmSpecSchema = specSchema(virtualMachineDefinition.schema);
const vmiSpecSchema = specSchema(virtualMachineInstanceDefinition.schema);

function specSchema(schema: object | undefined): Schema {
  return (schema as Schema | undefined)?.properties?.spec ?? {};
}

const runStrategies = ['Always', 'Halted', 'Manual', 'RerunOnFailure', 'Once', 'WaitAsReceiver'];

/** The hooks of a cluster on which KubeVirt is installed with its defaults. */
export const kubevirtAdmission: readonly AdmissionHook[] = [
  {
    group: 'kubevirt.io',
    plural: 'virtualmachines',
    refuse: (request) => (isPlain(request) ? refuseVm(request.object) : undefined),
    mutate: (request) => mutateVm(request),
    validate: (request) => (isPlain(request) ? validateVm(request) : undefined),
  },
  {
    group: 'kubevirt.io',
    plural: 'virtualmachineinstances',
    refuse: (request) => (isPlain(request) ? refuseSpec(request.object, vmiSpecSchema, vmiMutator, []) : undefined),
    mutate: (request) => mutateVmi(request),
    validate: (request) => (isPlain(request) ? validateVmi(request) : undefined),
  },
];

/** A create or update of the object itself, with a body. */
function isPlain(request: AdmissionRequest): boolean {
  return request.operation !== 'DELETE' && request.subresource === undefined && request.object !== undefined;
}

function denial(webhook: string, causes: readonly Partial<StatusCause>[]): AdmissionDenial | undefined {
  if (causes.length === 0) return undefined;
  const message = causes.map((cause) => cause.message).join(', ');
  return {
    code: 422,
    reason: 'Invalid',
    message: `admission webhook "${webhook}" denied the request: ${message}`,
    causes,
  };
}

function refuseVm(object: KubeObject | undefined): AdmissionDenial | undefined {
  const missing = present(fields(object?.spec).template) ? [] : ['spec.template in body is required'];
  return refuseSpec(object, vmSpecSchema, vmMutator, missing);
}

function refuseSpec(
  object: KubeObject | undefined,
  schema: Schema,
  webhook: string,
  missing: readonly string[],
): AdmissionDenial | undefined {
  const faults = [...typeFaults(object?.spec, schema, 'spec'), ...missing];
  return denial(
    webhook,
    faults.map((message) => ({ message })),
  );
}

/** The object as the mutating webhook hands it on. */
function mutateVm(request: AdmissionRequest): KubeObject {
  const object = request.object ?? { metadata: { name: request.name } };
  if (!isPlain(request)) return object;
  const spec = fields(remarshal(object.spec, vmSpecSchema));
  const template = fields(spec.template);
  const templateSpec = fields(template.spec);
  const domain = { ...fields(templateSpec.domain), ...resourcesOf(templateSpec) };
  if (request.operation !== 'CREATE')
    return { ...object, spec: { ...spec, template: { ...template, spec: { ...templateSpec, domain } } } };
  const firmware = { uuid: randomUUID(), serial: randomUUID(), ...fields(fields(templateSpec.domain).firmware) };
  const machine = { type: 'q35', ...fields(fields(templateSpec.domain).machine) };
  const metadata = fields(template.metadata);
  const marks = { [annotations.pciTopologyVersion]: 'v3', ...fields(metadata.annotations) };
  return {
    ...object,
    spec: {
      ...spec,
      template: {
        ...template,
        metadata: { ...metadata, annotations: marks },
        spec: { architecture: 'amd64', ...templateSpec, domain: { ...domain, firmware, machine } },
      },
    },
  };
}

/** Not a pointer in KubeVirt's types, so it is always written. */
function resourcesOf(spec: { readonly domain?: unknown }): { readonly resources: object } {
  return { resources: fields(fields(spec.domain).resources) };
}

function mutateVmi(request: AdmissionRequest): KubeObject {
  const object = request.object ?? { metadata: { name: request.name } };
  if (!isPlain(request)) return object;
  const spec = fields(remarshal(object.spec, vmiSpecSchema));
  if (request.operation !== 'CREATE') return { ...object, spec };
  const domain = fields(spec.domain);
  const { metadata } = object;
  const finalizers = metadata.finalizers ?? [];
  return {
    ...object,
    metadata: {
      ...metadata,
      annotations: { [annotations.pciTopologyVersion]: 'v3', ...metadata.annotations },
      finalizers: finalizers.includes(foregroundDeleteFinalizer)
        ? finalizers
        : [...finalizers, foregroundDeleteFinalizer],
    },
    spec: {
      architecture: 'amd64',
      evictionStrategy: 'None',
      ...spec,
      ...defaultNetwork(spec),
      domain: {
        features: { acpi: { enabled: true } },
        machine: { type: 'q35' },
        ...domain,
        ...resourcesOf(spec),
        cpu: { model: 'host-model', ...fields(domain.cpu) },
        devices: defaultDevices(spec),
      },
    },
    status: { phase: 'Pending', ...fields(object.status) },
  };
}

/** A VMI that lists no interface gets one on the pod network, unless it is told not to. */
function wantsDefaultNetwork(spec: ReturnType<typeof fields>): boolean {
  const devices = fields(fields(spec.domain).devices);
  return !present(spec.networks) && !present(devices.interfaces) && devices.autoattachPodInterface !== false;
}

function defaultNetwork(spec: ReturnType<typeof fields>): { readonly networks?: readonly object[] } {
  return wantsDefaultNetwork(spec) ? { networks: [{ name: 'default', pod: {} }] } : {};
}

function defaultDevices(spec: ReturnType<typeof fields>): object {
  const devices = fields(fields(spec.domain).devices);
  return wantsDefaultNetwork(spec) ? { ...devices, interfaces: [{ name: 'default', masquerade: {} }] } : devices;
}

function validateVm(request: AdmissionRequest): AdmissionDenial | undefined {
  const spec = fields(request.object?.spec);
  const vmiSpec = fields(spec.template).spec;
  if (request.operation === 'CREATE') {
    const discontinued = denial(vmValidator, discontinuedBindings(vmiSpec));
    if (discontinued) return discontinued;
  }
  return denial(vmValidator, [...specCauses(vmiSpec, 'spec.template.spec'), ...runStrategyCauses(spec)]);
}

function specCauses(vmiSpec: unknown, path: SpecPath): readonly StatusCause[] {
  return [...networkCauses(vmiSpec, path), ...deviceCauses(vmiSpec, path)];
}

function runStrategyCauses(spec: ReturnType<typeof fields>): readonly StatusCause[] {
  const strategy = text(spec.runStrategy);
  const running = present(spec.running);
  const field = running || strategy === undefined ? 'spec.running' : 'spec.runStrategy';
  const refuse = (message: string): readonly StatusCause[] => [{ reason: 'FieldValueInvalid', message, field }];
  if (running && strategy !== undefined)
    return refuse(
      'Running and RunStrategy are mutually exclusive. Note that Running is deprecated, please use RunStrategy instead',
    );
  if (!running && strategy === undefined) return refuse('One of Running or RunStrategy must be specified');
  return strategy === undefined || runStrategies.includes(strategy) ? [] : refuse(`Invalid RunStrategy (${strategy})`);
}

function validateVmi(request: AdmissionRequest): AdmissionDenial | undefined {
  if (request.operation === 'CREATE') {
    const discontinued = discontinuedBindings(request.object?.spec);
    return denial(
      vmiCreateValidator,
      discontinued.length > 0 ? discontinued : specCauses(request.object?.spec, 'spec'),
    );
  }
  if (isKubevirt(request.user) || isDeepStrictEqual(request.object?.spec, request.oldObject?.spec)) return undefined;
  const message = 'update of VMI object is restricted';
  return denial(vmiUpdateValidator, [{ reason: 'FieldValueNotSupported', message }]);
}

function isKubevirt(user: string): boolean {
  return kubevirtServiceAccounts.some((account) => account === user);
}
