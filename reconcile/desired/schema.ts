/**
 * The one description of what a desired-state repository may say. Types, validation and the published JSON Schemas
 * all come from here.
 */
import * as z from 'zod';
import { isCidr, parseIp } from '../systems/go-ip.ts';
import { macFault, macPattern } from '../systems/mac.ts';
import { nicModels } from '../vocabulary.ts';
import { durationFault, startFault, timeZoneFault } from '../windows/windows.ts';

export const apiVersion = 'patchpanel.dev/v1alpha1';
export const kinds = ['NetworkAttachments', 'Settings'] as const;
export type Kind = (typeof kinds)[number];

// Lengths are checked first, and end the check: the patterns below take quadratic time on absurdly long names.
const label = '[a-z0-9](?:[-a-z0-9]*[a-z0-9])?';
const subdomain = `${label}(?:\\.${label})*`;
const labelPattern = new RegExp(`^${label}$`);
const subdomainPattern = new RegExp(`^${subdomain}$`);
const networkPattern = new RegExp(`^(?:${label}/)?${subdomain}$`);

/**
 * Root ports that fit on a q35 machine: 29 slots of pcie.0 are left once slot 0, the first video device and the
 * chipset's 0x1f are taken, and each holds 8 functions.
 */
const maxPciePorts = 29 * 8;

/** KubeVirt's CRD takes 256 interfaces, and the first is the default network. */
const maxAttachments = 255;

const attachmentName = z
  .string()
  .max(63, {
    abort: true,
    error: 'is longer than 63 characters; the name becomes part of a libvirt alias and is shown in many places',
  })
  .regex(labelPattern, {
    error: (issue) =>
      /[A-Z]/.test(String(issue.input))
        ? 'must be lower case: KubeVirt admits upper case, but libvirt then gets the alias in lower case and the NIC is never found again'
        : 'must be a DNS label: lower-case letters, digits and dashes, with a letter or digit at both ends',
  })
  .describe('Name of the NIC, unique in its VM or pod: a lower-case DNS label of at most 63 characters.');

const objectName = z
  .string()
  .max(253, { abort: true, error: 'is longer than 253 characters' })
  .regex(subdomainPattern, { error: 'must be a DNS name: lower-case letters, digits, dashes and dots' });

const namespaceName = z
  .string()
  .max(63, { abort: true, error: 'is longer than 63 characters' })
  .regex(labelPattern, { error: 'must be a DNS label: lower-case letters, digits and dashes' });

const mac = z
  .string()
  .regex(macPattern, { error: 'is not a MAC address; write it like "02:70:70:00:0a:01"' })
  .superRefine((value, context) => {
    const fault = macPattern.test(value) ? macFault(value) : undefined;
    if (fault !== undefined) context.addIssue({ code: 'custom', message: `${fault}; a NIC can not have it` });
  })
  .describe(
    'MAC address of the NIC, as aa:bb:cc:dd:ee:ff, aa-bb-cc-dd-ee-ff or aabb.ccdd.eeff; one address once in the fleet. Quote it in YAML. Without it, the address changes at each start of the VM.',
  );

function checkAddress(value: string, context: z.RefinementCtx): void {
  if (value.includes('/') ? isCidr(value) : parseIp(value) !== undefined) return;
  context.addIssue({ code: 'custom', message: 'is not an IP address, with or without a prefix' });
}

const attachment = z
  .strictObject({
    name: attachmentName,
    network: z
      .string()
      .max(317, { abort: true, error: 'is too long' })
      .regex(networkPattern, {
        error: 'must be the name of a NetworkAttachmentDefinition, as name or namespace/name, in lower case',
      })
      .describe('The NetworkAttachmentDefinition: name (in the namespace of the VM or pod), or namespace/name.'),
    mac: mac.optional(),
    interface: z
      .string()
      .max(15, { abort: true, error: 'is longer than the 15 characters that Linux takes' })
      .regex(/^[a-zA-Z0-9](?:[-a-zA-Z0-9_.]*[a-zA-Z0-9])?$/, {
        error: 'is not a name that every CNI plugin takes: letters, digits, dashes, dots and underscores',
      })
      .optional()
      .describe(
        'Only for a Pod: name of the interface in it. By default the name of the attachment; with a domain, the one that KubeVirt would give it.',
      ),
    ips: z
      .array(
        z.string().max(64, { abort: true, error: 'is too long' }).superRefine(checkAddress).describe('One address.'),
      )
      .min(1, { error: 'must have at least one entry' })
      .max(32, { error: 'must have at most 32 entries' })
      .optional()
      .describe('Only for a Pod: addresses that are asked of the network, with their prefix, such as "192.0.2.7/24".'),
    binding: z
      .enum(['bridge', 'sriov'])
      .default('bridge')
      .describe(
        'bridge can be plugged and unplugged live; sriov is plugged by a live migration and never unplugged live.',
      ),
    model: z
      .enum(nicModels)
      .optional()
      .describe(
        'NIC model that the guest sees. Only for bridge. Without it KubeVirt or the preference of the VM decides.',
      ),
    state: z
      .enum(['up', 'down'], {
        error: (issue) =>
          issue.input === 'absent'
            ? 'is never declared absent: remove the attachment from the list, and it is unplugged'
            : undefined,
      })
      .default('up')
      .describe('Link state of the NIC. To unplug it, remove the attachment.'),
  })
  .superRefine((value, context) => {
    if (value.binding !== 'sriov') return;
    if (value.state === 'down') {
      context.addIssue({
        code: 'custom',
        path: ['state'],
        message: 'is not possible with binding sriov: KubeVirt refuses it',
      });
    }
    if (value.model !== undefined) {
      context.addIssue({
        code: 'custom',
        path: ['model'],
        message: 'has no meaning with binding sriov: the guest sees the real device',
      });
    }
  })
  .describe('One NIC of the VM or pod.');

const labelKey = z
  .string()
  .max(317, { abort: true, error: 'is too long' })
  .regex(/^(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/, {
    error: 'is not a label key',
  });
const labelValue = z
  .string()
  .max(63, { abort: true, error: 'is longer than 63 characters' })
  .regex(/^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/, { error: 'is not a label value' });

const selector = z
  .strictObject({
    matchLabels: z.record(labelKey, labelValue).optional().describe('Labels that a pod must have.'),
    matchExpressions: z
      .array(
        z
          .strictObject({
            key: labelKey.describe('The label.'),
            operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']).describe('How its value is judged.'),
            values: z.array(labelValue.describe('One value.')).optional().describe('For In and NotIn, at least one.'),
          })
          .describe('One condition.'),
      )
      .optional()
      .describe('Further conditions, all of which must hold.'),
  })
  .superRefine((value, context) => {
    if (Object.keys(value.matchLabels ?? {}).length + (value.matchExpressions?.length ?? 0) === 0) {
      context.addIssue({ code: 'custom', message: 'matches every pod; write at least one label' });
    }
    for (const [index, { operator, values = [] }] of (value.matchExpressions ?? []).entries()) {
      const wantsValues = operator === 'In' || operator === 'NotIn';
      if (wantsValues === values.length > 0) continue;
      const message = wantsValues ? `must have an entry for ${operator}` : `has no meaning with ${operator}`;
      context.addIssue({ code: 'custom', path: ['matchExpressions', index, 'values'], message });
    }
  })
  .describe('Only for a Pod: all pods of the namespace that match this label selector.');

const domain = z
  .strictObject({
    name: z
      .string()
      .min(1, { error: 'must not be empty' })
      .max(253, { error: 'is too long' })
      .regex(/^[^-]/, { abort: true, error: 'must not start with a dash, which virsh takes for an option' })
      .describe('Name of the domain, as virsh list shows it.'),
    container: namespaceName.describe('Container of the pod in which libvirt runs.'),
    uri: z
      .string()
      .max(1024, { abort: true, error: 'is too long' })
      .regex(/^[a-z][a-z0-9+.-]*:\/\//, { error: 'is not a connection URI of libvirt, such as qemu:///system' })
      .default('qemu:///system')
      .describe('Connection URI of virsh.'),
  })
  .describe('Only for a Pod: a domain that libvirt runs inside the pod, into which the NICs are plugged.');

const metadata = {
  labels: z.record(z.string(), z.string()).optional().describe('For your own use; patchpanel ignores them.'),
  annotations: z.record(z.string(), z.string()).optional().describe('For your own use; patchpanel ignores them.'),
};

export const networkAttachmentsSchema = z
  .strictObject({
    apiVersion: z.literal(apiVersion),
    kind: z.literal('NetworkAttachments'),
    metadata: z
      .strictObject({
        name: objectName.describe('Name of this object, and of the VM or pod unless spec.target.name says otherwise.'),
        namespace: namespaceName.optional().describe('Namespace of the VM or pod.'),
        ...metadata,
      })
      .describe('Which object this is.'),
    spec: z
      .strictObject({
        target: z
          .strictObject({
            kind: z
              .enum(['VirtualMachine', 'Pod'])
              .default('VirtualMachine')
              .describe('Kind of object to plug NICs into.'),
            name: objectName
              .optional()
              .describe('Name of the VM or pod; metadata.name by default, unless there is a selector.'),
            selector: selector.optional(),
            domain: domain.optional(),
          })
          .optional()
          .describe('What the NICs are plugged into; by default the VM with the name of this object.'),
        pciePorts: z
          .int()
          .min(0, { error: 'must be 0 or more' })
          .max(maxPciePorts, { error: `must be at most ${maxPciePorts}, the root ports that fit on a q35 machine` })
          .optional()
          .describe(
            'The VM must have at least so many PCIe root ports; a change takes effect when the VM next starts.',
          ),
        restart: z
          .enum(['never', 'allowed'])
          .default('never')
          .describe(
            'Whether patchpanel may restart this VM for what only a restart brings. The Settings must allow it too, and it happens in their restartWindows alone.',
          ),
        repair: z
          .boolean()
          .optional()
          .describe(
            'Only for a Pod: give elements of its networks annotation that name no interface the one that they have. Without a name they block every change.',
          ),
        attachments: z
          .array(attachment)
          .max(maxAttachments, { error: `must have at most ${maxAttachments} entries: KubeVirt takes no more` })
          .describe(
            'All NICs that the VM or pod must have besides its default network, in the order of plugging. May be empty.',
          ),
      })
      .describe('What is wanted.'),
  })
  .describe('The networks that one VM, or one or more pods, are plugged into.');

/** Text that one of the rules for windows finds no fault with. */
function windowText(fault: (text: string) => string | undefined): z.ZodString {
  return z
    .string()
    .max(200, { abort: true, error: 'is too long' })
    .superRefine((value, context) => {
      const message = fault(value);
      if (message !== undefined) context.addIssue({ code: 'custom', message });
    });
}

const timeWindow = z
  .strictObject({
    start: windowText(startFault).describe(
      'When it opens: a cron expression of five fields, such as "0 2 * * 6". Quote it in YAML.',
    ),
    duration: windowText(durationFault).describe('How long it stays open, at most a week: 90m, 2h, 1h30m.'),
    timeZone: windowText(timeZoneFault)
      .default('UTC')
      .describe('Time zone of start, by its IANA name, such as Europe/Zurich.'),
  })
  .describe('A window of time that comes back.');

/** More than a year has weeks, and each is looked at for each VM. */
const maxWindows = 100;

export const settingsSchema = z
  .strictObject({
    apiVersion: z.literal(apiVersion),
    kind: z.literal('Settings'),
    metadata: z
      .strictObject({ name: objectName.optional().describe('Any name.'), ...metadata })
      .optional()
      .describe('Which object this is.'),
    spec: z
      .strictObject({
        maxInFlight: z
          .int()
          .min(1, { error: 'must be at least 1' })
          .max(1000, { error: 'must be at most 1000' })
          .default(4)
          .describe('How many VMs may be in change at one time.'),
        restart: z
          .enum(['never', 'stage', 'allowed'])
          .default('never')
          .describe(
            'What to do with a change that a running VM can not take: never blocks it, stage writes it for the next restart, allowed also restarts the VMs that allow it themselves, in restartWindows.',
          ),
        restartWindows: z
          .array(timeWindow)
          .min(1, { error: 'must have at least one entry: without a window no VM is ever restarted' })
          .max(maxWindows, { error: `must have at most ${maxWindows} entries` })
          .optional()
          .describe('When VMs may be restarted, where restart is allowed. A restart begins while one of them is open.'),
      })
      .superRefine((value, context) => {
        if (value.restart !== 'allowed' || value.restartWindows !== undefined) return;
        context.addIssue({
          code: 'custom',
          path: ['restart'],
          message: 'needs restartWindows beside it: without a window no VM is ever restarted',
        });
      })
      .describe('Policy for the whole repository.'),
  })
  .describe('Policy for applying a desired-state repository; one object, in a file at its root.');

export type NetworkAttachmentsDocument = z.output<typeof networkAttachmentsSchema>;
export type SettingsDocument = z.output<typeof settingsSchema>;

/** JSON Schema, draft 2020-12, of what people write (defaults are optional). */
export function jsonSchemaOf(kind: Kind): z.core.JSONSchema.JSONSchema {
  const schema = kind === 'Settings' ? settingsSchema : networkAttachmentsSchema;
  return z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12' });
}
