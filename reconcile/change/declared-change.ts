/** The desired states of two commits, object by object. Pure. */
import type { DesiredState } from '../desired/model.ts';
import { podQueryKey } from '../desired/model.ts';
import type { Position } from '../errors.ts';
import { sortKeys } from '../plan/canonical-json.ts';
import type { TargetName } from '../plan/model.ts';
import { compareText, type Json, type ObjectName } from '../vocabulary.ts';
import type { AttachmentChange, DeclaredChange, FieldChange, ObjectChange } from './model.ts';

interface Declared {
  readonly target: TargetName;
  readonly position: Position;
  readonly attachments: ReadonlyMap<string, DeclaredAttachment>;
  readonly fields: Fields;
}

interface DeclaredAttachment {
  readonly network: ObjectName;
  readonly position: Position;
  readonly fields: Fields;
}

type Fields = Readonly<Record<string, Json>>;

/** @param base undefined where it can't be rendered: then all is added */
export function compareDeclared(head: DesiredState, base: DesiredState | undefined): DeclaredChange {
  const [after, before] = [objectsOf(head), base === undefined ? new Map<string, Declared>() : objectsOf(base)];
  const { prune } = head.settings;
  const objects = [...new Set([...after.keys(), ...before.keys()])]
    .flatMap((key) => objectChange(after.get(key), before.get(key), prune) ?? [])
    .sort(byTarget);
  const attachments = objects.flatMap((object) => object.attachments);
  const count = (change: ObjectChange['change']) => objects.filter((object) => object.change === change).length;
  const touched = (change: AttachmentChange['change']) => attachments.filter((each) => each.change === change).length;
  return {
    objects,
    settings: base === undefined ? [] : changedFields(json(base.settings), json(head.settings)),
    prune,
    summary: {
      added: count('added'),
      removed: count('removed'),
      changed: count('changed'),
      plugged: touched('plugged'),
      unplugged: touched('unplugged'),
      altered: touched('changed'),
    },
  };
}

function objectsOf({ targets, pods = [] }: DesiredState): ReadonlyMap<string, Declared> {
  const vms = targets.map(({ target, position, attachments, ...rest }) =>
    declaredOf({ kind: target.kind, namespace: target.namespace, name: target.name }, position, attachments, rest),
  );
  const others = pods.map(({ query, name: _, selector: __, position, attachments, ...rest }) => {
    const name = 'name' in query ? query.name : podQueryKey(query).slice(query.namespace.length + 1);
    return declaredOf({ kind: 'Pod', namespace: query.namespace, name }, position, attachments, rest);
  });
  return new Map([...vms, ...others].map((each) => [`${each.target.kind}/${nameKey(each.target)}`, each]));
}

function declaredOf(
  target: TargetName,
  position: Position,
  attachments: readonly { readonly name: string; readonly network: ObjectName; readonly position: Position }[],
  rest: object,
): Declared {
  const named = attachments.map(({ name, position: place, ...own }): [string, DeclaredAttachment] => [
    name,
    { network: own.network, position: plain(place), fields: json(own) },
  ]);
  return { target, position: plain(position), attachments: new Map(named), fields: json(rest) };
}

/** Undefined where both are alike. */
function objectChange(
  after: Declared | undefined,
  before: Declared | undefined,
  prune: boolean,
): ObjectChange | undefined {
  const object = after ?? before;
  if (object === undefined) return undefined;
  // The NICs of an object that vanished are left alone, unless it is asked for.
  const leaves = after !== undefined || prune;
  const attachments = [
    ...[...(after?.attachments ?? [])].flatMap(([name, now]) => attachmentChange(name, now, before) ?? []),
    ...[...(before?.attachments ?? [])].flatMap(([name, was]): AttachmentChange[] =>
      !leaves || after?.attachments.has(name) === true
        ? []
        : [{ name, change: 'unplugged', network: was.network, fields: [] }],
    ),
  ];
  const fields = changedFields(before?.fields ?? {}, after?.fields ?? {});
  const change = before === undefined ? 'added' : after === undefined ? 'removed' : 'changed';
  if (change === 'changed' && attachments.length === 0 && fields.length === 0) return undefined;
  const touched = new Set(attachments.map(({ name }) => name));
  return {
    target: object.target,
    change,
    ...(after === undefined ? {} : { position: after.position }),
    attachments,
    stays: [...object.attachments].flatMap(([name, { network }]) => (touched.has(name) ? [] : [{ name, network }])),
    fields,
  };
}

function attachmentChange(
  name: string,
  now: DeclaredAttachment,
  before: Declared | undefined,
): AttachmentChange | undefined {
  const was = before?.attachments.get(name);
  const { network, position } = now;
  if (was === undefined) return { name, change: 'plugged', network, position, fields: [] };
  const fields = changedFields(was.fields, now.fields);
  return fields.length === 0 ? undefined : { name, change: 'changed', network, position, fields };
}

function changedFields(before: Fields, after: Fields): readonly FieldChange[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].sort().flatMap((field): FieldChange[] => {
    const [from, to] = [before[field] ?? null, after[field] ?? null];
    return JSON.stringify(sortKeys(from)) === JSON.stringify(sortKeys(to)) ? [] : [{ field, from, to }];
  });
}

function json(value: object): Fields {
  return JSON.parse(JSON.stringify(value));
}

function plain({ file, line, column }: Position): Position {
  return { file, line, column };
}

function nameKey({ namespace, name }: ObjectName): string {
  return `${namespace}/${name}`;
}

function byTarget({ target: a }: ObjectChange, { target: b }: ObjectChange): number {
  if (a.kind !== b.kind) return a.kind === 'VirtualMachine' ? -1 : 1;
  return compareText(a.namespace, b.namespace) || compareText(a.name, b.name);
}
