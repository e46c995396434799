/** What kube-apiserver fills in and refuses for its own resources, as far as clients of the sandbox meet it. */
import { Buffer } from 'node:buffer';
import { randomInt } from 'node:crypto';
import type { ResourceDefinition } from './contract.ts';
import { at, child, equalJson, isObject, type JsonObject, list, text } from './json.ts';
import { isDnsLabel, labelText, metadataOf } from './object-meta.ts';
import {
  type FieldError,
  fieldForbidden,
  fieldInvalid,
  fieldRequired,
  fieldTooLong,
  fieldUnsupported,
} from './status.ts';

export interface BuiltinRules {
  /** Whether objects carry a generation. */
  readonly generation?: boolean;
  /** PUT of a missing object creates it. */
  readonly createOnUpdate?: boolean;
  /** Fills in defaults of a new object, in place. */
  readonly create?: (object: JsonObject) => void;
  /** Fills in defaults of a changed object, in place. */
  readonly update?: (object: JsonObject, current: JsonObject) => void;
  readonly validate?: (object: JsonObject, current: JsonObject | undefined) => readonly FieldError[];
}

const rules: Readonly<Record<string, BuiltinRules>> = {
  '/configmaps': { validate: validateConfigMap, create: dropEmptyData, update: dropEmptyData },
  '/secrets': { create: completeSecret, update: completeSecret },
  '/namespaces': { create: completeNamespace },
  '/events': { createOnUpdate: true, create: completeEvent, update: completeEvent, validate: validateEvent },
  '/pods': { generation: true, create: completePod, update: completePodUpdate, validate: validatePod },
  '/services': { create: completeService },
  'coordination.k8s.io/leases': { createOnUpdate: true, create: completeLease, validate: validateLease },
  'apps/daemonsets': { generation: true },
  'apiextensions.k8s.io/customresourcedefinitions': { generation: true },
};

export function builtinRules(resource: ResourceDefinition): BuiltinRules | undefined {
  return resource.custom ? undefined : rules[`${resource.group}/${resource.plural}`];
}

function dropEmptyData(object: JsonObject): void {
  for (const key of ['data', 'binaryData']) {
    const data = object[key];
    if (isObject(data) && Object.keys(data).length === 0) delete object[key];
  }
}

const configMapLimit = 1024 * 1024;

function validateConfigMap(object: JsonObject, current: JsonObject | undefined): readonly FieldError[] {
  const errors: FieldError[] = [];
  let size = 0;
  for (const value of Object.values(child(object, 'data') ?? {})) size += String(value).length;
  if (size > configMapLimit) errors.push(fieldTooLong('[]', configMapLimit));
  if (current?.immutable === true) {
    const frozen = 'field is immutable when `immutable` is set';
    if (object.immutable !== true) errors.push(fieldForbidden('immutable', frozen));
    if (!equalJson(object.data, current.data)) errors.push(fieldForbidden('data', frozen));
    if (!equalJson(object.binaryData, current.binaryData)) errors.push(fieldForbidden('binaryData', frozen));
  }
  return errors;
}

function completeSecret(object: JsonObject): void {
  object.type ??= 'Opaque';
  const plain = child(object, 'stringData');
  if (plain === undefined) return;
  const data: JsonObject = { ...child(object, 'data') };
  for (const [key, value] of Object.entries(plain)) data[key] = Buffer.from(String(value)).toString('base64');
  object.data = data;
  delete object.stringData;
}

function completeNamespace(object: JsonObject): void {
  const metadata = metadataOf(object);
  metadata.labels = { 'kubernetes.io/metadata.name': metadata.name, ...child(metadata, 'labels') };
  object.spec = { finalizers: ['kubernetes'], ...child(object, 'spec') };
  object.status = { phase: 'Active' };
}

const eventTail = ['type', 'eventTime', 'series', 'action', 'related', 'reportingComponent', 'reportingInstance'];

/** Go prints these though they are empty. */
function completeEvent(object: JsonObject): void {
  object.source ??= {};
  object.firstTimestamp ??= null;
  object.lastTimestamp ??= null;
  object.eventTime ??= null;
  object.reportingComponent ??= '';
  object.reportingInstance ??= '';
  for (const key of eventTail) {
    const value = object[key];
    delete object[key];
    if (value !== undefined) object[key] = value;
  }
}

function validateEvent(object: JsonObject): readonly FieldError[] {
  const namespace = text(child(object, 'metadata')?.namespace) ?? '';
  const involved = text(child(object, 'involvedObject')?.namespace) ?? '';
  const errors: FieldError[] = [];
  if (involved !== namespace && !(involved === '' && namespace === 'default')) {
    errors.push(fieldInvalid('involvedObject.namespace', involved, 'does not match event.namespace'));
  }
  // An event with a time of its own is one of the newer kind, whichever API it comes through.
  const asked = object.eventTime === null ? [] : ['reportingComponent', 'reportingInstance', 'action', 'reason'];
  for (const key of asked) if ((text(object[key]) ?? '') === '') errors.push(fieldRequired(key));
  return errors;
}

function completeService(object: JsonObject): void {
  object.spec = { type: 'ClusterIP', ...child(object, 'spec') };
  object.status ??= { loadBalancer: {} };
}

function completeLease(object: JsonObject): void {
  object.spec ??= {};
}

function validateLease(object: JsonObject): readonly FieldError[] {
  const duration = at(object, 'spec', 'leaseDurationSeconds');
  return typeof duration === 'number' && duration <= 0
    ? [fieldInvalid('spec.leaseDurationSeconds', duration, 'must be greater than 0')]
    : [];
}

const suffixCharacters = 'bcdfghjklmnpqrstvwxz2456789';

function completePod(pod: JsonObject): void {
  const spec = { ...child(pod, 'spec') };
  let suffix = '';
  for (let index = 0; index < 5; index++) suffix += suffixCharacters.charAt(randomInt(suffixCharacters.length));
  const tokenVolume = `kube-api-access-${suffix}`;
  const mountToken = spec.automountServiceAccountToken !== false;
  const volumes = [...list(spec.volumes)];
  const mounted = (value: unknown): unknown => {
    if (!isObject(value)) return value;
    const mounts = [...list(value.volumeMounts)];
    if (mountToken) mounts.push({ name: tokenVolume, readOnly: true, mountPath: tokenMount });
    return {
      ...value,
      resources: value.resources ?? {},
      ...(mounts.length > 0 ? { volumeMounts: mounts } : {}),
      terminationMessagePath: value.terminationMessagePath ?? '/dev/termination-log',
      terminationMessagePolicy: value.terminationMessagePolicy ?? 'File',
      imagePullPolicy: value.imagePullPolicy ?? pullPolicy(text(value.image) ?? ''),
    };
  };
  if (mountToken) volumes.push(tokenProjection(tokenVolume));
  if (volumes.length > 0) spec.volumes = volumes;
  spec.containers = list(spec.containers).map(mounted);
  if (spec.initContainers !== undefined) spec.initContainers = list(spec.initContainers).map(mounted);
  for (const [key, value] of Object.entries(podDefaults)) spec[key] ??= value;
  spec.serviceAccount = spec.serviceAccountName;
  spec.tolerations = [...list(spec.tolerations), ...defaultTolerations];
  pod.spec = spec;
  pod.status = { phase: 'Pending', qosClass: 'BestEffort' };
}

const tokenMount = '/var/run/secrets/kubernetes.io/serviceaccount';

const podDefaults: JsonObject = {
  restartPolicy: 'Always',
  terminationGracePeriodSeconds: 30,
  dnsPolicy: 'ClusterFirst',
  serviceAccountName: 'default',
  securityContext: {},
  schedulerName: 'default-scheduler',
  priority: 0,
  enableServiceLinks: true,
  preemptionPolicy: 'PreemptLowerPriority',
};

const defaultTolerations = ['not-ready', 'unreachable'].map((name) => ({
  key: `node.kubernetes.io/${name}`,
  operator: 'Exists',
  effect: 'NoExecute',
  tolerationSeconds: 300,
}));

function pullPolicy(image: string): string {
  const tag = /:([^:/]+)$/.exec(image)?.[1];
  return (tag === undefined || tag === 'latest') && !image.includes('@') ? 'Always' : 'IfNotPresent';
}

function tokenProjection(name: string): JsonObject {
  return {
    name,
    projected: {
      sources: [
        { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        {
          downwardAPI: {
            items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
          },
        },
      ],
      defaultMode: 420,
    },
  };
}

/** Status defaults stay whatever a status patch leaves out. */
function completePodUpdate(pod: JsonObject, current: JsonObject): void {
  const status = child(pod, 'status');
  if (status !== undefined) status.qosClass ??= at(current, 'status', 'qosClass') ?? 'BestEffort';
}

function validatePod(pod: JsonObject, current: JsonObject | undefined): readonly FieldError[] {
  return current === undefined ? validateNewPod(pod) : validatePodUpdate(pod, current);
}

const restartPolicies = ['Always', 'OnFailure', 'Never'];

function validateNewPod(pod: JsonObject): readonly FieldError[] {
  const errors: FieldError[] = [];
  const containers = list(at(pod, 'spec', 'containers'));
  if (containers.length === 0) errors.push(fieldRequired('spec.containers'));
  for (const [index, container] of containers.entries()) {
    const field = `spec.containers[${index}]`;
    const name = text(at(container, 'name')) ?? '';
    if (name === '') errors.push(fieldRequired(`${field}.name`));
    else if (!isDnsLabel(name)) errors.push(fieldInvalid(`${field}.name`, name, labelText));
    if ((text(at(container, 'image')) ?? '') === '') errors.push(fieldRequired(`${field}.image`));
  }
  const policy = text(at(pod, 'spec', 'restartPolicy')) ?? '';
  if (!restartPolicies.includes(policy)) {
    errors.push(fieldUnsupported('spec.restartPolicy', policy, restartPolicies));
  }
  return errors;
}

function validatePodUpdate(pod: JsonObject, current: JsonObject): readonly FieldError[] {
  const containers = list(at(pod, 'spec', 'containers'));
  if (containers.length !== list(at(current, 'spec', 'containers')).length) {
    return [fieldForbidden('spec.containers', 'pod updates may not add or remove containers')];
  }
  if (equalJson(fixedPart(pod), fixedPart(current))) return [];
  return [
    fieldForbidden(
      'spec',
      'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,' +
        '`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),' +
        '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n',
    ),
  ];
}

/** The spec without what may change: images, deadline, tolerations, readiness of being scheduled. */
function fixedPart(pod: JsonObject): unknown {
  const { activeDeadlineSeconds: _deadline, tolerations: _tolerations, ...spec } = child(pod, 'spec') ?? {};
  const withoutImages = (containers: unknown): unknown =>
    list(containers).map((container) => (isObject(container) ? { ...container, image: '' } : container));
  return {
    ...spec,
    containers: withoutImages(spec.containers),
    ...(spec.initContainers === undefined ? {} : { initContainers: withoutImages(spec.initContainers) }),
  };
}
