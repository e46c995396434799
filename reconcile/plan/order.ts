/** From steps to actions: the order within one VM, and what shares a write. */
import type { Delivery } from '../live/model.ts';
import { type ObjectName, objectKey } from '../vocabulary.ts';
import type { Action, PlannedAttachment } from './model.ts';
import type { Restart } from './restart.ts';
import type { Step } from './steps.ts';

type StepOf<Kind extends Step['kind']> = Extract<Step, { kind: Kind }>;

/** An action before it has its id. */
type Draft = DistributiveOmit<Action, 'id' | 'after'>;
type DistributiveOmit<T, Key extends PropertyKey> = T extends unknown ? Omit<T, Key> : never;

/** What of a `set-ports` is not its place in the plan. */
export type SetPorts = Pick<Extract<Action, { kind: 'set-ports' }>, 'knob' | 'value' | 'staged'>;

/**
 * The actions of one VM in the order of execution.
 *
 * What is in flight ends first; before it, the swap that mends a plug which hangs: the dynamic-networks controller adds in
 * the order of the annotation and stops at the first failure, so nothing else comes or goes until then. A swap never shares a write, or a moment, with a plug or unplug: KubeVirt would put the
 * new network on the old interface. Unplugs come before plugs, so that ports, names and addresses are free. In place,
 * NICs are plugged one at a time in declared order, so that PCI addresses are in that order; where each change costs a
 * migration, all plugs share one. What only a restart brings is written last, as KubeVirt holds back other live
 * updates from then on; behind it comes the restart itself, and the records of NICs that it takes away.
 *
 * A stopped VM gets its ports before its NICs, should it be started in between.
 *
 * @param waiting names of attachments that wait for another VM: a stopped VM gives up what it gives up before it waits
 */
export function orderActions(
  vm: ObjectName,
  steps: readonly Step[],
  waiting: ReadonlySet<string>,
  setPorts?: SetPorts,
  restart?: Restart,
): readonly Action[] {
  const knob: Draft[] = setPorts === undefined ? [] : [{ kind: 'set-ports', ...setPorts }];
  const drafts: Draft[] = [
    ...knob.filter(() => setPorts?.staged === false),
    ...swaps(steps, true),
    ...follows(steps, 'swapped'),
    ...follows(steps, 'gone'),
    ...follows(steps, 'plugged'),
    ...unplugs(steps),
    ...templateEdits(steps, waiting),
    ...releases(steps),
    ...follows(steps, 'link'),
    ...of(steps, 'link').map(({ name, state }): Draft => ({ kind: 'link', attachment: name, state })),
    ...plugs(steps),
    ...swaps(steps, false),
    ...stagedEdits(steps),
    ...knob.filter(() => setPorts?.staged === true),
    ...(restart === undefined ? [] : [{ kind: 'restart', ...restart } as const, ...stagedReleases(steps)]),
  ];
  return drafts.map((draft, index): Action => ({ ...draft, id: `${objectKey(vm)}/${index + 1}`, after: [] }));
}

function of<Kind extends Step['kind']>(steps: readonly Step[], kind: Kind): readonly StepOf<Kind>[] {
  return steps.filter((step): step is StepOf<Kind> => step.kind === kind);
}

function follows(steps: readonly Step[], until: StepOf<'follow'>['until']): readonly Draft[] {
  return of(steps, 'follow')
    .filter((step) => step.until === until)
    .map(({ name }): Draft => ({ kind: 'follow', attachment: name, until }));
}

function swaps(steps: readonly Step[], pending: boolean): readonly Draft[] {
  return of(steps, 'swap')
    .filter((step) => step.pending === pending)
    .map(({ name, from, to }): Draft => ({ kind: 'swap', attachment: name, from, to }));
}

function unplugs(steps: readonly Step[]): readonly Draft[] {
  const found = of(steps, 'unplug');
  const delivery = found[0]?.delivery;
  if (delivery === undefined) return [];
  return [{ kind: 'unplug', attachments: found.map(({ name }) => name), delivery }];
}

function releases(steps: readonly Step[]): readonly Draft[] {
  const names = of(steps, 'release').map(({ name }) => name);
  return names.length === 0 ? [] : [{ kind: 'release', attachments: names }];
}

function templateEdits(steps: readonly Step[], waiting: ReadonlySet<string>): readonly Draft[] {
  const puts = of(steps, 'put').filter(({ staged }) => !staged);
  const remove = of(steps, 'remove')
    .filter(({ staged }) => !staged)
    .map(({ name }) => name);
  const now = puts.filter(({ name }) => !waiting.has(name)).map(({ attachment }) => attachment);
  const later = puts.filter(({ name }) => waiting.has(name)).map(({ attachment }) => attachment);
  return [edit(now, remove, false), edit(later, [], false)].flat();
}

function stagedEdits(steps: readonly Step[]): readonly Draft[] {
  const puts = of(steps, 'put').filter(({ staged }) => staged);
  const removes = of(steps, 'remove').filter(({ staged }) => staged);
  return edit(
    puts.map(({ attachment }) => attachment),
    removes.map(({ name }) => name),
    true,
  );
}

/** Of a VM that runs, a NIC that leaves the template stays plugged until the restart, and on record. */
function stagedReleases(steps: readonly Step[]): readonly Draft[] {
  const removes = of(steps, 'remove').filter(({ staged }) => staged);
  return removes.length === 0 ? [] : [{ kind: 'release', attachments: removes.map(({ name }) => name) }];
}

function edit(put: readonly PlannedAttachment[], remove: readonly string[], staged: boolean): readonly Draft[] {
  return put.length === 0 && remove.length === 0 ? [] : [{ kind: 'edit-template', put, remove, staged }];
}

function plugs(steps: readonly Step[]): readonly Draft[] {
  const found = of(steps, 'plug');
  const single = found.filter(({ delivery }) => delivery === 'in-place');
  const batch = found.filter(({ delivery }) => delivery === 'migration');
  return [
    ...single.map(({ attachment }) => plug([attachment], 'in-place')),
    ...(batch.length === 0
      ? []
      : [
          plug(
            batch.map(({ attachment }) => attachment),
            'migration',
          ),
        ]),
  ];
}

function plug(attachments: readonly PlannedAttachment[], delivery: Delivery): Draft {
  return { kind: 'plug', attachments, delivery };
}
