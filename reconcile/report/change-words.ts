/** A change in words, the same in every output. */
import type { AttachmentChange, Base, Change, FieldChange, NoLonger, ObjectChange } from '../change/model.ts';
import { revision } from '../desired/revision.ts';
import type { Json, ObjectName } from '../vocabulary.ts';
import { count, shortRevision } from './words.ts';

/** One line of what a change does, with the sign that `words.ts` gives to actions. */
export interface ChangeLine {
  readonly sign: '+' | '-' | '~' | '.';
  readonly words: string;
}

/** What an object declares that it did not before, NIC by NIC. */
export function objectLines(object: ObjectChange, prune: boolean): readonly ChangeLine[] {
  const { target, change, attachments, stays, fields } = object;
  const lines = attachments.flatMap((each) => attachmentLines(each, target));
  const own = fields.map(({ field, from, to }): ChangeLine => ({ sign: '~', words: fieldWords(field, from, to) }));
  if (change !== 'removed') return [...lines, ...own];
  const fate = prune
    ? 'the runs of the repository unplug what patchpanel plugged (prune is on)'
    : `what patchpanel plugged stays (prune is off)${stays.length === 0 ? '' : `: ${stays.map(({ name }) => name).join(', ')}`}`;
  return [...lines, { sign: '.', words: `the object is removed: ${fate}` }];
}

function attachmentLines(
  { name, change, network, fields }: AttachmentChange,
  target: ObjectName,
): readonly ChangeLine[] {
  const where = network.namespace === target.namespace ? network.name : `${network.namespace}/${network.name}`;
  switch (change) {
    case 'plugged':
      return [{ sign: '+', words: `${name} into ${where}` }];
    case 'unplugged':
      return [{ sign: '-', words: `${name} out of ${where}` }];
    case 'changed':
      return fields.map(
        ({ field, from, to }): ChangeLine => ({ sign: '~', words: fieldWords(`${name}: ${field}`, from, to) }),
      );
    default:
      return change satisfies never;
  }
}

export function settingLines(settings: readonly FieldChange[]): readonly ChangeLine[] {
  return settings.map(({ field, from, to }) => ({ sign: '~', words: fieldWords(`settings: ${field}`, from, to) }));
}

/** What was due before and is no more. */
export function noLongerLines({ actions, blockers }: NoLonger): readonly ChangeLine[] {
  return [
    ...actions.map(
      ({ kind, attachment }): ChangeLine => ({
        sign: '.',
        words: `${kind}${attachment === undefined ? '' : ` ${attachment}`}`,
      }),
    ),
    ...blockers.map(
      ({ code, attachment }): ChangeLine => ({
        sign: '.',
        words: `blocked (${code})${attachment === undefined ? '' : ` ${attachment}`}`,
      }),
    ),
  ];
}

function fieldWords(what: string, from: Json, to: Json): string {
  return `${what} ${valueWords(from)} -> ${valueWords(to)}`;
}

function valueWords(value: Json): string {
  if (value === null) return 'unset';
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || Array.isArray(value)) return JSON.stringify(value);
  const [namespace, name] = [Reflect.get(value, 'namespace'), Reflect.get(value, 'name')];
  const isName = Object.keys(value).length === 2 && typeof namespace === 'string' && typeof name === 'string';
  return isName ? `${namespace}/${name}` : JSON.stringify(value);
}

/** `This change: 1 VM to change (2 plugs), 1 VM blocked. Due before it: 3 VMs.` */
export function changeSummary({ cluster, declared }: Change): string {
  const { added, removed, changed, plugged, unplugged, altered } = declared.summary;
  const objects = [
    ...(added > 0 ? [`${count(added, 'object')} added`] : []),
    ...(removed > 0 ? [`${count(removed, 'object')} removed`] : []),
    ...(changed > 0 ? [`${count(changed, 'object')} changed`] : []),
    ...(declared.settings.length > 0 ? ['settings changed'] : []),
  ];
  if (cluster === undefined) {
    if (objects.length === 0) return 'This change declares nothing new.';
    const nics = steps([
      [plugged, 'NIC to plug', 'NICs to plug'],
      [unplugged, 'NIC to unplug', 'NICs to unplug'],
      [altered, 'NIC to change', 'NICs to change'],
    ]);
    return `This change: ${objects.join(', ')}${nics}. No cluster was asked.`;
  }
  const { summary, plan } = cluster;
  const noun = plan.summary.pods === undefined ? 'VM' : 'target';
  const does = steps([
    [summary.plugs, 'plug', 'plugs'],
    [summary.unplugs, 'unplug', 'unplugs'],
    [summary.others, 'other change', 'other changes'],
  ]);
  const parts = [
    ...(summary.changed > 0 ? [`${count(summary.changed, noun)} to change${does}`] : []),
    ...(summary.blocked > 0 ? [`${count(summary.blocked, noun)} blocked`] : []),
  ];
  const nothing =
    objects.length === 0
      ? 'This change declares nothing new'
      : `This change does nothing to the cluster (${objects.join(', ')})`;
  const first = parts.length === 0 ? nothing : `This change: ${parts.join(', ')}`;
  const before = summary.before > 0 ? ` Due before it: ${count(summary.before, noun)}.` : '';
  const less = summary.noLonger > 0 ? ` No longer due: ${count(summary.noLonger, noun)}.` : '';
  return `${first}.${before}${less}`;
}

function steps(parts: readonly (readonly [number: number, one: string, many: string])[]): string {
  const words = parts.flatMap(([number, one, many]) =>
    number === 0 ? [] : [`${number} ${number === 1 ? one : many}`],
  );
  return words.length === 0 ? '' : ` (${words.join(', ')})`;
}

/** The revision of the base, in full or short. */
export function baseName(base: Base, short: boolean): string {
  if (base.kind === 'unrendered') return base.ref;
  return short ? shortRevision(base.source) : revision(base.source);
}

/** So many faults of a base are told. */
const faultsShown = 5;

/** Why all is taken to be of the change; empty where the base could be rendered. */
export function baseFaults(base: Base): readonly string[] {
  if (base.kind === 'rendered') return [];
  const lines = base.faults.slice(0, faultsShown).map(({ code, message, position }) => {
    const place = position === undefined ? '' : `${position.file}:${position.line}:${position.column}: `;
    return `${place}${message} (${code})`;
  });
  const more = base.faults.length - lines.length;
  return [
    `${base.ref} can not be rendered, so all that is declared is taken to be of this change:`,
    ...lines,
    ...(more > 0 ? [`and ${count(more, 'more fault')}`] : []),
  ];
}
