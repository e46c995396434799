/**
 * The one description of what a desired-state repository may say. Types, validation and the published JSON Schemas
 * all come from here.
 */
import * as z from 'zod';
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
  .describe('Name of the NIC, unique in the VM: a lower-case DNS label of at most 63 characters.');

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

const attachment = z
  .strictObject({
    name: attachmentName,
    network: z
      .string()
      .max(317, { abort: true, error: 'is too long' })
      .regex(networkPattern, {
        error: 'must be the name of a NetworkAttachmentDefinition, as name or namespace/name, in lower case',
      })
      .describe('The NetworkAttachmentDefinition: name (in the namespace of the VM), or namespace/name.'),
    mac: mac.optional(),
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
  .describe('One NIC of the VM.');

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
        name: objectName.describe('Name of this object, and of the VM unless spec.target.name says otherwise.'),
        namespace: namespaceName.optional().describe('Namespace of the VM.'),
        ...metadata,
      })
      .describe('Which object this is.'),
    spec: z
      .strictObject({
        target: z
          .strictObject({
            kind: z
              .enum(['VirtualMachine'], {
                error: (issue) =>
                  issue.input === 'Pod'
                    ? 'can not be Pod yet: patchpanel plugs NICs into virtual machines only'
                    : undefined,
              })
              .default('VirtualMachine')
              .describe('Kind of object to plug NICs into.'),
            name: objectName.optional().describe('Name of the VM; metadata.name by default.'),
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
        attachments: z
          .array(attachment)
          .max(maxAttachments, { error: `must have at most ${maxAttachments} entries: KubeVirt takes no more` })
          .describe(
            'All NICs that the VM must have besides its default network, in the order of plugging. May be empty.',
          ),
      })
      .describe('What is wanted.'),
  })
  .describe('The networks that one VM is plugged into.');

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
