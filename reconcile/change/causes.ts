/**
 * Two plans against one reading of the cluster: what both have was due before, what only that of the head has is of the
 * change. Pure.
 */
import { sortKeys } from '../plan/canonical-json.ts';
import type { Blocker, Plan, PlanAction, TargetName, TargetPlan } from '../plan/model.ts';
import type { Json } from '../vocabulary.ts';
import type { Cause, ClusterChange, NoLonger, TargetCauses } from './model.ts';

/** @param base undefined where there is none: all is of the change */
export function causesOf(plan: Plan, base: Plan | undefined): ClusterChange {
  const before = new Map((base?.targets ?? []).map((target) => [key(target.target), target]));
  const after = new Map(plan.targets.map((target) => [key(target.target), target]));
  const causes = plan.targets.map((target) => targetCauses(target, before.get(key(target.target))));
  const noLonger = (base?.targets ?? []).flatMap((was) => noLongerOf(was, after.get(key(was.target))) ?? []);
  return { plan, causes, noLonger, summary: summaryOf(plan, causes, noLonger) };
}

/** Whether the change, not what was there before it, makes something of the target. */
export function isOfChange(causes: TargetCauses): boolean {
  const { actions, blockers, differences, notes } = causes;
  return [...actions, ...blockers, ...differences, ...notes].some(({ cause }) => cause !== 'before');
}

function targetCauses(target: TargetPlan, was: TargetPlan | undefined): TargetCauses {
  const due = new Set((was?.actions ?? []).flatMap((action) => atoms(action).map((atom) => atom.key)));
  const differed = new Set((was?.differences ?? []).map((difference) => text(difference)));
  const noted = new Set((was?.notes ?? []).map((note) => text(note)));
  const differences = target.differences.map((difference) => {
    const { attachment, layer, field } = difference;
    return {
      attachment,
      layer,
      field,
      cause: differed.has(text(difference)) ? ('before' as const) : ('change' as const),
    };
  });
  const changed = new Set(differences.flatMap(({ attachment, cause }) => (cause === 'change' ? [attachment] : [])));
  return {
    target: nameOf(target.target),
    actions: target.actions.map((action) => ({ id: action.id, ...actionCause(action, due) })),
    blockers: target.blockers.map(({ code, attachment, message }) => ({
      code,
      ...(attachment === undefined ? {} : { attachment }),
      cause: blockerCause({ code, attachment, message }, was?.blockers ?? [], changed),
    })),
    differences,
    notes: target.notes.map((note) => ({
      code: note.code,
      ...(note.attachment === undefined ? {} : { attachment: note.attachment }),
      cause: noted.has(text(note)) ? 'before' : 'change',
    })),
  };
}

function actionCause(
  action: PlanAction,
  due: ReadonlySet<string>,
): Pick<TargetCauses['actions'][number], 'cause' | 'attachments'> {
  const all = atoms(action);
  const fresh = all.filter((atom) => !due.has(atom.key));
  if (fresh.length === 0) return { cause: 'before' };
  if (fresh.length === all.length) return { cause: 'change' };
  return { cause: 'both', attachments: fresh.flatMap(({ attachment }) => attachment ?? []) };
}

/** A blocker that was there before is of the change too where it now holds something that the change wants. */
function blockerCause(
  {
    code,
    attachment,
    message,
  }: { readonly code: string; readonly attachment: string | undefined; readonly message: string },
  were: readonly Blocker[],
  changed: ReadonlySet<string>,
): Cause {
  const same = were.filter((each) => each.code === code && each.attachment === attachment);
  if (same.length === 0) return 'change';
  if (!same.some((each) => each.message === message)) return 'both';
  return (attachment === undefined ? changed.size > 0 : changed.has(attachment)) ? 'both' : 'before';
}

function noLongerOf(was: TargetPlan, is: TargetPlan | undefined): NoLonger | undefined {
  const due = new Set((is?.actions ?? []).flatMap((action) => atoms(action).map((atom) => atom.key)));
  const actions = was.actions.flatMap((action) =>
    atoms(action)
      .filter((atom) => !due.has(atom.key))
      .map(({ attachment }) => ({ kind: action.kind, ...(attachment === undefined ? {} : { attachment }) })),
  );
  const blockers = was.blockers
    .filter(
      ({ code, attachment }) => !is?.blockers.some((each) => each.code === code && each.attachment === attachment),
    )
    .map(({ code, attachment, message }) => ({ code, ...(attachment === undefined ? {} : { attachment }), message }));
  return actions.length === 0 && blockers.length === 0 ? undefined : { target: nameOf(was.target), actions, blockers };
}

/** An action on one attachment: one may bring several. */
interface Atom {
  readonly key: string;
  readonly attachment?: string;
}

/** Keys of actions that hold a list with an entry for each attachment. */
const lists = ['attachments', 'put', 'remove', 'elements'];
/** Where an action stands among the others, and the port that libvirt happens to choose, are no part of what it does. */
const circumstances = ['id', 'after', 'ports', 'port', 'delivery'];

function atoms(action: PlanAction): readonly Atom[] {
  const fields = Object.entries(action) as [string, Json][];
  const common = fields.filter(([name]) => !lists.includes(name) && !circumstances.includes(name));
  const own = fields.flatMap(([name, value]) =>
    lists.includes(name) && Array.isArray(value) ? value.map((each: Json): [string, Json] => [name, each]) : [],
  );
  if (own.length === 0) {
    const attachment =
      'element' in action ? action.element.name : 'attachment' in action ? action.attachment : undefined;
    return [{ key: text(common), ...(attachment === undefined ? {} : { attachment }) }];
  }
  return own.map((each) => {
    const attachment = attachmentName(each[1]);
    return { key: text([...common, each]), ...(attachment === undefined ? {} : { attachment }) };
  });
}

function attachmentName(value: Json): string | undefined {
  if (typeof value === 'string') return value;
  const name =
    value !== null && typeof value === 'object'
      ? (Reflect.get(value, 'name') ?? Reflect.get(value, 'interface'))
      : undefined;
  return typeof name === 'string' ? name : undefined;
}

const plugKinds: ReadonlySet<PlanAction['kind']> = new Set(['plug', 'pod-plug'] as const);
const unplugKinds: ReadonlySet<PlanAction['kind']> = new Set(['unplug', 'pod-unplug'] as const);
/** What belongs to another: the record that follows, the domain behind the pod. */
const parts: ReadonlySet<PlanAction['kind']> = new Set([
  'release',
  'pod-release',
  'domain-attach',
  'domain-detach',
] as const);

function summaryOf(
  plan: Plan,
  causes: readonly TargetCauses[],
  noLonger: readonly NoLonger[],
): ClusterChange['summary'] {
  let [plugs, unplugs, others] = [0, 0, 0];
  for (const [index, target] of plan.targets.entries()) {
    for (const [at, action] of target.actions.entries()) {
      const judged = causes[index]?.actions[at];
      if (judged === undefined || judged.cause === 'before') continue;
      const number = judged.attachments?.length ?? atoms(action).length;
      if (plugKinds.has(action.kind)) plugs += number;
      else if (unplugKinds.has(action.kind)) unplugs += number;
      else if (!parts.has(action.kind)) others += 1;
    }
  }
  const mine = ({ cause }: { readonly cause: Cause }) => cause !== 'before';
  const old = ({ cause }: { readonly cause: Cause }) => cause !== 'change';
  return {
    changed: causes.filter(({ actions }) => actions.some(mine)).length,
    blocked: causes.filter(({ blockers }) => blockers.some(mine)).length,
    plugs,
    unplugs,
    others,
    before: causes.filter(({ actions, blockers }) => actions.some(old) || blockers.some(old)).length,
    noLonger: noLonger.length,
  };
}

function key({ kind, namespace, name }: TargetName): string {
  return `${kind}/${namespace}/${name}`;
}

function nameOf({ kind, namespace, name }: TargetName): TargetName {
  return { kind, namespace, name };
}

/** Equal for equal values, whatever the order of their keys. */
function text(value: unknown): string {
  return JSON.stringify(sortKeys(JSON.parse(JSON.stringify(value))));
}
