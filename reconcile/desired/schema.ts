/**
 * The one description of what a desired-state repository may say. Types, validation and the published JSON Schemas
 * all come from here.
 */
import * as z from 'zod';
import { isCidr, parseIp } from '../systems/go-ip.ts';
import { macFault, macPattern } from '../systems/mac.ts';
import { nicModels } from '../vocabulary.ts';
import {
  apiVersion,
  labelKey,
  labelPattern,
  labelValue,
  metadata,
  namespaceName,
  networkPattern,
  objectName,
} from './schema-fields.ts';
import { policySchema, settingsSchema } from './settings-schema.ts';

export const kinds = ['NetworkAttachments', 'Settings'] as const;
/** A Policy is no part of a repository. */
export type Kind = (typeof kinds)[number] | 'Policy';

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
        suspend: z
          .boolean()
          .optional()
          .describe('Whether this VM or pod is left alone: nothing is written to it until the key is gone.'),
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

export type NetworkAttachmentsDocument = z.output<typeof networkAttachmentsSchema>;

const schemas = { NetworkAttachments: networkAttachmentsSchema, Settings: settingsSchema, Policy: policySchema };

/** JSON Schema, draft 2020-12, of what people write (defaults are optional). */
export function jsonSchemaOf(kind: Kind): z.core.JSONSchema.JSONSchema {
  return z.toJSONSchema(schemas[kind], { io: 'input', target: 'draft-2020-12' });
}
