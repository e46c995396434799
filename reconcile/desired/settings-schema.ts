/** What Settings may say. The brakes among it are fields that any kind may have which sets them. */
import * as z from 'zod';
import { durationFault, startFault, timeZoneFault } from '../windows/windows.ts';
import { repositoriesSchema } from './repository-schema.ts';
import { apiVersion, labelKey, labelValue, metadata, namespaceName, objectName } from './schema-fields.ts';

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

function windows(whereNone: string) {
  return z
    .array(timeWindow)
    .min(1, { error: `must have at least one entry: ${whereNone}` })
    .max(maxWindows, { error: `must have at most ${maxWindows} entries` });
}

function wholeNumber(least: number, most: number) {
  return z
    .int()
    .min(least, { error: `must be at least ${least}` })
    .max(most, { error: `must be at most ${most}` });
}

/** More VMs than any fleet has. */
const mostVms = 1_000_000;

/** A number of VMs or NICs, or a share of all of them. */
function amount(least: 0 | 1) {
  const error = `must be a whole number from ${least}, or a share from "${least}%" to "100%"`;
  const percent = z.string().regex(least === 0 ? /^(?:100|[1-9]?[0-9])%$/ : /^(?:100|[1-9][0-9]?)%$/, { error });
  return z.union([wholeNumber(least, mostVms), percent], { error });
}

const maxWaves = 50;

const wave = z
  .strictObject({
    name: z
      .string()
      .min(1, { error: 'must not be empty' })
      .max(63, { error: 'is longer than 63 characters' })
      .describe('What the plan calls it.'),
    namespaces: z
      .array(namespaceName.describe('One namespace.'))
      .min(1, { error: 'must have at least one entry' })
      .max(1000, { error: 'must have at most 1000 entries' })
      .optional()
      .describe('Its namespace is one of these.'),
    vms: z
      .array(
        z
          .string()
          .max(253, { abort: true, error: 'is longer than 253 characters' })
          .regex(/^(?:[a-z0-9][-a-z0-9.]*\*?|\*)$/, { error: 'is not a name; only its end may be a star' })
          .describe('A name, or the beginning of one with a star behind it.'),
      )
      .min(1, { error: 'must have at least one entry' })
      .max(1000, { error: 'must have at most 1000 entries' })
      .optional()
      .describe('Its name is one of these; a star at the end stands for anything.'),
    labels: z.record(labelKey, labelValue).optional().describe('The VM or pod in the cluster has all of these labels.'),
  })
  .superRefine((value, context) => {
    if (value.namespaces ?? value.vms ?? value.labels) return;
    context.addIssue({ code: 'custom', message: 'takes in every VM; write namespaces, vms or labels' });
  })
  .describe('The VMs and pods that all of its conditions fit.');

/** Without defaults: where one is left out, whoever wrote the object has no opinion on it. */
const brakes = {
  maxInFlight: wholeNumber(1, 1000).describe('How many VMs may be in change at one time.'),
  maxInFlightPerNode: wholeNumber(1, 1000).describe('How many VMs of one node may be in change at one time.'),
  canary: amount(1).describe(
    'So many VMs, or such a share of those that change, go first; the others follow once all of them are verified.',
  ),
  waves: z
    .array(wave)
    .min(1, { error: 'must have at least one entry' })
    .max(maxWaves, { error: `must have at most ${maxWaves} entries` })
    .superRefine((value, context) => {
      const names = new Set<string>();
      for (const [index, { name }] of value.entries()) {
        if (names.has(name)) context.addIssue({ code: 'custom', path: [index, 'name'], message: 'stands twice' });
        names.add(name);
      }
    })
    .describe(
      'In which order VMs are changed: a wave begins when the one before is done. The first that fits a VM counts; all others come last.',
    ),
  maxFailures: wholeNumber(1, mostVms).describe('After so many VMs failed, no further one is begun.'),
  onFailure: z
    .enum(['reverse', 'hold', 'retry'])
    .describe(
      'A VM that failed its verification: reverse undoes what can be undone of its actions, hold leaves it as it is; both then leave it alone until its object changes. retry tries again in each run.',
    ),
  prune: z
    .boolean()
    .describe(
      'Whether the NICs that patchpanel plugged are unplugged from a VM whose object is gone from the repository.',
    ),
  maxRemovals: amount(0).describe(
    'At most so many NICs, or such a share of those that patchpanel plugged, may be unplugged by one run; a plan with more removes none.',
  ),
  suspend: z.boolean().describe('Whether all VMs and pods are left alone.'),
  suspendedNamespaces: z
    .array(namespaceName.describe('One namespace.'))
    .max(1000, { error: 'must have at most 1000 entries' })
    .describe('Namespaces whose VMs and pods are left alone.'),
  allowWindows: windows('without a window nothing is ever changed').describe(
    'When changes may be made. Outside all of them they wait.',
  ),
  denyWindows: windows('leave it out to deny nothing').describe(
    'When no change may be made, whatever allowWindows says.',
  ),
  restart: z
    .enum(['never', 'stage', 'allowed'])
    .describe(
      'What to do with a change that a running VM can not take: never blocks it, stage writes it for the next restart, allowed also restarts the VMs that allow it themselves, in restartWindows.',
    ),
  restartWindows: windows('without a window no VM is ever restarted').describe(
    'When VMs may be restarted, where restart is allowed. A restart begins while one of them is open.',
  ),
};

/** Of an object that is known by its kind, whatever its name. */
const anyMetadata = z
  .strictObject({ name: objectName.optional().describe('Any name.'), ...metadata })
  .optional()
  .describe('Which object this is.');

export const settingsSchema = z
  .strictObject({
    apiVersion: z.literal(apiVersion),
    kind: z.literal('Settings'),
    metadata: anyMetadata,
    spec: z
      .strictObject({
        ...z.strictObject(brakes).partial().shape,
        maxInFlight: brakes.maxInFlight.default(4),
        onFailure: brakes.onFailure.default('reverse'),
        prune: brakes.prune.default(false),
        restart: brakes.restart.default('never'),
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

export const policySchema = z
  .strictObject({
    apiVersion: z.literal(apiVersion),
    kind: z.literal('Policy'),
    metadata: anyMetadata,
    spec: z
      .strictObject({
        ...z.strictObject(brakes).partial().shape,
        repositories: repositoriesSchema.optional(),
        overridableWindows: z
          .boolean()
          .optional()
          .describe('Whether --override-windows also overrides the windows of this policy. By default it does not.'),
      })
      .describe('Ceilings: of each brake, the stricter of this and the Settings holds.'),
  })
  .describe('Policy of the platform owner, which the Settings of a repository may only tighten.');

export type PolicyDocument = z.output<typeof policySchema>;
export type SettingsDocument = z.output<typeof settingsSchema>;
