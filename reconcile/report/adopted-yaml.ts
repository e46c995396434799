/**
 * Adopted VMs as files of a repository. The bytes are stable: the same VM gives the same file. Values are written so
 * that readers of YAML 1.1 and of 1.2 agree on them.
 */
import type { AdoptedVm, LeftOut } from '../adopt/adopt.ts';
import type { Taking } from '../adopt/take.ts';
import type { DesiredAttachment } from '../desired/model.ts';
import { jsonSchemaOf } from '../desired/schema.ts';
import { apiVersion } from '../desired/schema-fields.ts';
import type { TargetPlan } from '../plan/model.ts';
import { fields, text } from '../systems/json-shape.ts';
import { type ObjectName, objectKey } from '../vocabulary.ts';
import { printable, type Style } from './style.ts';
import { describeAction } from './words.ts';

/** The file of one VM. */
export function adoptedYaml({ target, without, leftOut, remarks }: AdoptedVm): string {
  const vm = target.target;
  const lines = [
    `# The NICs of ${vm.namespace}/${vm.name}, written by \`patchpanel adopt\`.`,
    ...remarks.map((remark) => comment(`Note: ${remark}.`)),
    ...leftOutLines(leftOut),
    `apiVersion: ${apiVersion}`,
    'kind: NetworkAttachments',
    'metadata:',
    `  name: ${scalar(vm.name)}`,
    `  namespace: ${scalar(vm.namespace)}`,
    'spec:',
    target.attachments.length === 0 ? '  attachments: []' : '  attachments:',
    ...target.attachments.flatMap((attachment) => attachmentLines(attachment, vm, without)),
  ];
  return `${lines.join('\n')}\n`;
}

function leftOutLines(leftOut: readonly LeftOut[]): readonly string[] {
  const kept = leftOut.filter(({ unplugged }) => !unplugged);
  const taken = leftOut.filter(({ unplugged }) => unplugged);
  return [
    ...(kept.length === 0 ? [] : ['# Not declared, and left alone:', ...kept.map(leftOutLine)]),
    ...(taken.length === 0
      ? []
      : ["# CAUTION: not declared, but on patchpanel's record: applying this file unplugs", ...taken.map(leftOutLine)]),
  ];
}

function leftOutLine({ name, why }: LeftOut): string {
  return comment(`  ${name}: ${why}`);
}

function attachmentLines(
  attachment: DesiredAttachment,
  vm: ObjectName,
  without: readonly LeftOut[],
): readonly string[] {
  const { name, network, mac, binding, model, state } = attachment;
  const place = network.namespace === vm.namespace ? network.name : `${network.namespace}/${network.name}`;
  return [
    ...without.filter((field) => field.name === name).map(({ why }) => `    ${comment(`Not declared: ${why}.`)}`),
    `    - name: ${scalar(name)}`,
    `      network: ${scalar(place)}`,
    ...(mac === undefined ? [] : [`      mac: ${JSON.stringify(mac)}`]),
    // Defaults are left out: they are what they are for.
    ...(binding === 'bridge' ? [] : [`      binding: ${binding}`]),
    ...(model === undefined ? [] : [`      model: ${model}`]),
    ...(state === 'up' ? [] : [`      state: ${state}`]),
  ];
}

/** Names of the cluster may hold anything; a line break would end the comment. */
function comment(words: string): string {
  return `# ${printable(words)}`;
}

/** Words that YAML 1.1 takes for booleans or null. */
const words = new Set(['y', 'n', 'yes', 'no', 'on', 'off', 'true', 'false', 'null']);

/** Plain where no reader can take it for anything but text, else quoted: a name may be `1e3`, `on` or `0x10`. */
function scalar(value: string): string {
  return /^[a-z][a-z0-9./-]*$/.test(value) && !words.has(value) ? value : JSON.stringify(value);
}

/** A Settings file with every default written out, and what can be set beside them in comments. */
export function settingsYaml(): string {
  const { properties } = fields(fields(jsonSchemaOf('Settings').properties).spec);
  const lines = [
    '# Policy for applying this repository; see docs/reference/desired-state.md of patchpanel.',
    `apiVersion: ${apiVersion}`,
    'kind: Settings',
    'spec:',
  ];
  for (const [key, schema] of Object.entries(fields(properties))) {
    const { description, default: value } = fields(schema);
    lines.push(`  # ${printable(text(description) ?? '')}`);
    const isScalar = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
    lines.push(isScalar ? `  ${key}: ${typeof value === 'string' ? scalar(value) : value}` : `  # ${key}:`);
  }
  return `${lines.join('\n')}\n`;
}

/** One file a VM; a namespace is a folder, so that what is adopted later finds its place. */
export function adoptedFiles(
  adopted: readonly AdoptedVm[],
): readonly { readonly path: string; readonly content: string }[] {
  return adopted.map((vm) => {
    const { namespace, name } = vm.target.target;
    return { path: `${namespace}/${name}.yaml`, content: adoptedYaml(vm) };
  });
}

/** What the reader must know before the files are applied, a line each. */
export function adoptionNotices(adoption: {
  readonly adopted: readonly AdoptedVm[];
  readonly left: readonly TargetPlan[];
}): readonly string[] {
  const { adopted, left } = adoption;
  if (adopted.length === 0) return ['no VM was found'];
  return left.flatMap(({ target, actions, blockers }) => [
    ...actions.map((action) => printable(`${objectKey(target)}: a plan would now ${describeAction(action, target)}`)),
    ...blockers.map(({ attachment, message }) =>
      printable(`${objectKey(target)}: ${attachment === undefined ? '' : `${attachment}: `}${message}`),
    ),
  ]);
}

/** What `--take` records, and what it does not. */
export function takingLines(takings: readonly Taking[], style: Style): readonly string[] {
  if (takings.length === 0) return ["Every declared NIC is on patchpanel's record already."];
  return takings.map(({ target, names, refused }) => {
    const nics = printable(names.join(', '));
    if (refused === undefined) return `${style.added('+')} ${objectKey(target)}: ${nics}`;
    return `${style.bad('!')} ${objectKey(target)}: ${nics} not taken: ${printable(refused)}`;
  });
}
