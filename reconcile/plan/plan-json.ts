/**
 * A plan as a file. The schema below is the format: its order of keys is the order in the file, so equal plans have
 * equal bytes whoever built them.
 */
import * as z from 'zod';
import { PatchpanelError } from '../errors.ts';
import { type Json, layers } from '../vocabulary.ts';
import { digestOf, sortKeys } from './canonical-json.ts';
import { type Plan, planVersion } from './model.ts';
import { checkWhole } from './plan-checks.ts';
import { policy, settings, timeWindow } from './settings-json.ts';

const text = z.string();
const count = z.int().min(0);
const objectName = { namespace: text, name: text };
const network = z.strictObject(objectName);
const delivery = z.enum(['in-place', 'migration']);
const linkState = z.enum(['up', 'down']);
const json: z.ZodType<Json> = z.json();

export const sourceSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('git'),
    url: text,
    ref: text,
    commit: text,
    path: text,
    mark: text.exactOptional(),
  }),
  z.strictObject({ kind: z.literal('folder'), path: text, digest: text, mark: text.exactOptional() }),
]);

const attachment = z.strictObject({
  name: text,
  network,
  binding: z.enum(['bridge', 'sriov']),
  state: linkState,
  mac: text.exactOptional(),
  model: text.exactOptional(),
});

const base = { id: text, after: z.array(text) };
const action = z.discriminatedUnion('kind', [
  z.strictObject({
    ...base,
    kind: z.literal('plug'),
    attachments: z.array(attachment),
    delivery,
    ports: z.record(text, count).exactOptional(),
  }),
  z.strictObject({ ...base, kind: z.literal('unplug'), attachments: z.array(text), delivery }),
  z.strictObject({ ...base, kind: z.literal('link'), attachment: text, state: linkState }),
  z.strictObject({ ...base, kind: z.literal('swap'), attachment: text, from: network, to: network }),
  z.strictObject({
    ...base,
    kind: z.literal('follow'),
    attachment: text,
    until: z.enum(['plugged', 'gone', 'link', 'swapped']),
  }),
  z.strictObject({
    ...base,
    kind: z.literal('edit-template'),
    put: z.array(attachment),
    remove: z.array(text),
    staged: z.boolean(),
  }),
  z.strictObject({
    ...base,
    kind: z.literal('set-ports'),
    knob: z.enum(['slot-count', 'field', 'sidecar']),
    value: count,
    staged: z.boolean(),
  }),
  z.strictObject({
    ...base,
    kind: z.literal('restart'),
    instance: text,
    windows: z.array(timeWindow),
    ports: count.exactOptional(),
  }),
  z.strictObject({ ...base, kind: z.literal('release'), attachments: z.array(text) }),
]);

const element = { network, interface: text };
const plannedElement = z.strictObject({
  name: text,
  ...element,
  mac: text.exactOptional(),
  ips: z.array(text).exactOptional(),
});
const podUntil = z.enum(['plugged', 'gone']);
const podAction = z.discriminatedUnion('kind', [
  z.strictObject({ ...base, kind: z.literal('pod-plug'), element: plannedElement }),
  z.strictObject({
    ...base,
    kind: z.literal('pod-unplug'),
    elements: z.array(z.strictObject({ name: text, ...element })),
    ghost: z.boolean(),
  }),
  z.strictObject({ ...base, kind: z.literal('pod-kick'), attachments: z.array(text), until: podUntil }),
  z.strictObject({
    ...base,
    kind: z.literal('pod-repair'),
    elements: z.array(z.strictObject({ index: count, ...element })),
  }),
  z.strictObject({
    ...base,
    kind: z.literal('domain-attach'),
    attachment: text,
    interface: text,
    model: text,
    mac: text.exactOptional(),
    state: linkState,
    port: count.exactOptional(),
  }),
  z.strictObject({ ...base, kind: z.literal('domain-detach'), attachment: text, interface: text }),
  z.strictObject({ ...base, kind: z.literal('domain-link'), attachment: text, interface: text, state: linkState }),
  z.strictObject({ ...base, kind: z.literal('pod-follow'), attachment: text, until: podUntil }),
  z.strictObject({ ...base, kind: z.literal('pod-release'), attachments: z.array(text) }),
]);

/** The closed list of blockers; docs/reference/blockers.md explains each. */
export const blockerCodes = [
  'vm-not-found',
  'vm-deleting',
  'vm-migrating',
  'vm-paused',
  'vm-starting',
  'vm-not-ready',
  'vm-pool',
  'shared-ownership',
  'default-network',
  'needs-restart',
  'link-unsupported',
  'not-migratable',
  'no-delivery',
  'not-unpluggable',
  'ordinal-names',
  'one-way-absent',
  'pending-plug',
  'no-ports',
  'network-missing',
  'network-invalid',
  'mac-taken',
  'mac-invalid',
  'name-collision',
  'foreign-nic',
  'port-count',
  'pod-not-found',
  'pod-declared-twice',
  'pod-not-running',
  'pod-deleting',
  'pod-static',
  'pod-host-network',
  'pod-primary-network',
  'pod-launcher',
  'pod-controller',
  'pod-annotation',
  'pod-annotation-size',
  'pod-no-interface',
  'pod-unsettled',
  'network-device',
  'network-unfit',
  'foreign-element',
  'shared-address',
  'agent-unfit',
  'agent-unread',
  'agent-dropped',
  'restart-refused',
  'suspended',
  'held',
  'other-source',
  'renamed',
  'protected',
  'removal-limit',
] as const;

export const positionSchema = z.strictObject({ file: text, line: count, column: count });

const runState = z.enum(['running', 'stopped', 'starting', 'stopping', 'migrating', 'paused', 'missing']);
const differences = z.array(
  z.strictObject({ attachment: text, layer: z.enum(layers), field: text, wanted: json, found: json }),
);
const blockers = z.array(
  z.strictObject({
    code: z.enum(blockerCodes),
    attachment: text.exactOptional(),
    position: positionSchema.exactOptional(),
    message: text,
    remedy: text,
    paste: text.exactOptional(),
  }),
);
const notes = z.array(z.strictObject({ code: text, attachment: text.exactOptional(), message: text }));
const ports = z
  .strictObject({
    basis: z.enum(['xml', 'forecast']),
    free: count,
    freeAtMost: count,
    needed: count,
    freed: count,
    strip: z
      .array(
        z.strictObject({
          index: count,
          state: z.enum(['used', 'freed', 'taken', 'free', 'not-hotpluggable']),
          device: text.exactOptional(),
        }),
      )
      .exactOptional(),
  })
  .exactOptional();
const read = z.strictObject({ digest: text, fields: json });

const wave = z.strictObject({ index: count, name: text }).exactOptional();

const vmTarget = z.strictObject({
  target: z.strictObject({ kind: z.literal('VirtualMachine'), ...objectName }),
  uid: text.exactOptional(),
  position: positionSchema.exactOptional(),
  pruned: z.literal(true).exactOptional(),
  runState,
  differences,
  actions: z.array(action),
  blockers,
  notes,
  ports,
  portCount: z
    .strictObject({
      declared: count,
      basis: z.enum(['xml', 'forecast']),
      now: count,
      afterRestart: count,
      moves: z.array(z.strictObject({ device: text, from: count, to: count })),
    })
    .exactOptional(),
  declared: z.array(attachment).exactOptional(),
  wave,
  input: text.exactOptional(),
  unmanaged: z.array(text),
  read,
});

const podTarget = z.strictObject({
  target: z.strictObject({ kind: z.literal('Pod'), ...objectName }),
  uid: text.exactOptional(),
  position: positionSchema.exactOptional(),
  runState,
  differences,
  actions: z.array(podAction),
  blockers,
  notes,
  ports,
  declared: z.array(plannedElement),
  domain: z.strictObject({ name: text, container: text, uri: text }).exactOptional(),
  wave,
  input: text.exactOptional(),
  unmanaged: z.array(text),
  read,
});

/** Which of the two a target is stands in its `target.kind`; a fault is told by that one. */
const target = z.union([vmTarget, podTarget]);

/** The format of a plan, and of what else refers to its parts. */
export const planSchema = z.strictObject({
  version: z.literal(planVersion),
  source: sourceSchema,
  cluster: z.strictObject({
    server: text,
    delivery,
    deliveryEvidence: text,
    kubevirtVersion: text.exactOptional(),
  }),
  settings,
  policy: policy.exactOptional(),
  targets: z.array(target),
  removals: z.strictObject({ planned: count, owned: count }).exactOptional(),
  undeclared: z
    .array(
      z.strictObject({
        ...objectName,
        owned: z.array(text),
        source: text.exactOptional(),
        why: z.enum(['prune-off', 'no-id', 'no-mark', 'other-rendering']),
      }),
    )
    .exactOptional(),
  summary: z.strictObject({
    vms: count,
    pods: count.exactOptional(),
    unchanged: count,
    changed: count,
    blocked: count,
    plugs: count,
    unplugs: count,
    others: count,
  }),
});

/** A plan that stands by itself: with a digest of all that is before it. */
const filedPlan = planSchema.extend({ digest: text });

/** The plan as JSON: two spaces of indent, keys in the order of the format, its digest, a newline at the end. */
export function planToJson(value: Plan): string {
  const ordered = orderedPlan(value);
  return `${JSON.stringify({ ...ordered, digest: digestOf(plain(ordered)) }, null, 2)}\n`;
}

/** As the file has it. */
function plain(value: z.infer<typeof planSchema>): Json {
  return json.parse(JSON.parse(JSON.stringify(value)));
}

/** The plan with its keys in the order of the format. */
export function orderedPlan(value: Plan): z.infer<typeof planSchema> {
  const ordered = planSchema.parse(value);
  for (const item of ordered.targets) item.read.fields = sortKeys(item.read.fields);
  return ordered;
}

/**
 * Reads a plan file.
 * @throws PatchpanelError `plan/format`: no JSON, another version, another shape, or not as it was written
 */
export function parsePlan(content: string): Plan {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (cause) {
    throw new PatchpanelError('plan/format', 'the file is no saved plan: it is not JSON', {
      cause,
      remedy: 'Save one with `plan -o json`; desired state is read from a folder, not from a file.',
    });
  }
  const version = typeof value === 'object' && value !== null ? Reflect.get(value, 'version') : undefined;
  if (version !== planVersion) {
    const found = typeof version === 'string' ? `version ${version}` : 'no plan of patchpanel';
    throw new PatchpanelError('plan/format', `the file is ${found}; this patchpanel reads ${planVersion}`);
  }
  const result = filedPlan.safeParse(value);
  if (!result.success) {
    throw new PatchpanelError('plan/format', shapeFault(result.error.issues[0]));
  }
  const { digest, ...read } = result.data;
  checkWhole(read);
  if (digest !== digestOf(plain(read))) {
    throw new PatchpanelError('plan/format', 'the plan does not fit its digest: the file was edited', {
      remedy: 'Plan anew; what is to be done otherwise is declared in the repository.',
    });
  }
  return read;
}

function shapeFault(issue: z.core.$ZodIssue | undefined, above: readonly PropertyKey[] = []): string {
  const path = [...above, ...(issue?.path ?? [])];
  if (issue?.code === 'invalid_union') {
    const ofOtherKind = ({ path: inner }: z.core.$ZodIssue) => inner.join('.') === 'target.kind';
    const meant = issue.errors.find((issues) => !issues.some(ofOtherKind));
    if (meant !== undefined) return shapeFault(meant[0], path);
  }
  const where = path.length === 0 ? 'the plan' : path.map(String).join('.');
  return `${where}: ${issue?.message ?? 'has another shape'}`;
}
