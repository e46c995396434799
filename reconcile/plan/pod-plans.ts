/** Plans of pods: each on its own first, then the addresses that move between them. */
import type { DesiredState } from '../desired/model.ts';
import { podQueryKey } from '../desired/model.ts';
import { isOfAnother } from '../desired/source-mark.ts';
import { type AbsentPods, diffPods, elementsOf, type PodDiff } from '../diff/pods.ts';
import type { LiveState } from '../live/model.ts';
import type { LiveTargetPod } from '../live/pod-model.ts';
import { normaliseMac } from '../systems/mac.ts';
import { objectKey } from '../vocabulary.ts';
import { otherSource } from './eligibility.ts';
import { podInputDigest } from './held.ts';
import type { Blocker, Note, PodPlan } from './model.ts';
import { podRunState } from './pod-eligibility.ts';
import { readPodFields } from './pod-fingerprint.ts';
import type { PodAction } from './pod-model.ts';
import { editedNetworks, podNotes } from './pod-notes.ts';
import { draftPod, type PodDraft, plannedElement, unmanagedInterfaces } from './pods.ts';
import { targetKeyOf } from './removals.ts';
import { blocker } from './steps.ts';

/** All that Kubernetes stores of annotations with one object. */
const mostAnnotationBytes = 256 * 1024;

/** The plan of every declared pod, by namespace and name. */
export function planPods(
  desired: DesiredState,
  live: LiveState,
  forbidden: ReadonlyMap<string, readonly Blocker[]>,
): readonly PodPlan[] {
  const diffs = diffPods(desired.pods ?? [], live);
  const present = diffs.filter((one) => one.pod !== undefined);
  const byPod = Map.groupBy(present, ({ pod }) => pod.uid);
  const single = [...byPod.values()].flatMap(([only, ...more]) =>
    only !== undefined && more.length === 0 ? [only] : [],
  );
  const onPod = (pod: LiveTargetPod): readonly Blocker[] => [
    ...(isOfAnother(pod.source, desired.source) ? [otherSource('pod', pod, desired.source)] : []),
    ...(forbidden.get(targetKeyOf({ kind: 'Pod', namespace: pod.namespace, name: pod.name })) ?? []),
  ];
  const drafts = settleMacs(single, live, onPod);
  const plans = [
    ...diffs.flatMap((one) => (one.pod === undefined ? [absentPlan(one, live)] : [])),
    ...[...byPod.values()].flatMap((several) => (several.length > 1 ? [twicePlan(several, live)] : [])),
    ...drafts.map((draft) => finish(draft, live)),
  ];
  return linkMacs(plans, live).toSorted((a, b) => (objectKey(a.target) < objectKey(b.target) ? -1 : 1));
}

/** Refuses plugs whose address another NIC keeps; refusing one may keep another address in use, so until nothing changes. */
function settleMacs(
  diffs: readonly PodDiff[],
  live: LiveState,
  onPod: (pod: LiveTargetPod) => readonly Blocker[],
): readonly PodDraft[] {
  const refused = new Map<string, Map<string, Blocker>>();
  for (;;) {
    const drafts = diffs.map((diff) => draftPod(diff, live, onPod(diff.pod), refused.get(objectKey(diff.pod))));
    const going = new Set(drafts.flatMap(goingInterfaces));
    let fresh = false;
    for (const { diff, steps } of drafts) {
      const key = objectKey(diff.pod);
      for (const step of steps) {
        if (step.kind !== 'pod-plug' || step.element.mac === undefined) continue;
        const { mac, name, interface: iface } = step.element;
        const keeper = holdersOf(mac, live).find((one) => one !== `${key}/${iface}` && !going.has(one));
        if (keeper === undefined) continue;
        const remedy = `Declare another address, or take it from ${keeper} first.`;
        const ofPod = refused.get(key) ?? new Map<string, Blocker>();
        ofPod.set(name, blocker('mac-taken', name, `the MAC ${mac} is that of ${keeper}`, remedy));
        refused.set(key, ofPod);
        fresh = true;
      }
    }
    if (!fresh) return drafts;
  }
}

/** `namespace/name/interface` of what a pod gives up. */
function goingInterfaces({ diff, steps }: PodDraft): readonly string[] {
  return steps.flatMap((step) =>
    step.kind === 'pod-unplug' ? step.elements.map((element) => `${objectKey(diff.pod)}/${element.interface}`) : [],
  );
}

/** Who has an address: NICs of VMs, and elements of the pods that were read, as `namespace/name/interface`. */
function holdersOf(mac: string, live: LiveState): readonly string[] {
  const vm = live.macs.get(mac);
  const pods = new Map([...(live.pods?.byQuery.values() ?? [])].flat().map((pod) => [pod.uid, pod]));
  const held = [...pods.values()].flatMap((pod) =>
    elementsOf(pod)
      .filter((element) => element.mac !== undefined && normaliseMac(element.mac) === mac)
      .map((element) => `${objectKey(pod)}/${element.interface ?? ''}`),
  );
  return vm === undefined ? held : [vm, ...held];
}

/** A plug waits until the pod that has its address has given it up. */
function linkMacs(plans: readonly PodPlan[], live: LiveState): readonly PodPlan[] {
  const givers = new Map<string, string>(
    plans.flatMap(({ target, actions }) =>
      actions.flatMap((action) =>
        action.kind === 'pod-unplug'
          ? action.elements.map((element) => [`${objectKey(target)}/${element.interface}`, action.id] as const)
          : [],
      ),
    ),
  );
  return plans.map((plan) => ({
    ...plan,
    actions: plan.actions.map((action): PodAction => {
      if (action.kind !== 'pod-plug' || action.element.mac === undefined) return action;
      const own = new Set(plan.actions.map(({ id }) => id));
      const after = holdersOf(action.element.mac, live).flatMap((holder) => givers.get(holder) ?? []);
      const others = [...new Set(after)].filter((id) => !own.has(id)).sort();
      return others.length === 0 ? action : { ...action, after: others };
    }),
  }));
}

function finish(draft: PodDraft, live: LiveState): PodPlan {
  const { diff, ports } = draft;
  const tooLarge = sizeBlocker(draft);
  const steps = tooLarge === undefined ? draft.steps : [];
  const blockers = tooLarge === undefined ? draft.blockers : [tooLarge, ...draft.blockers];
  const actions = steps.map(
    (step, index): PodAction => ({ ...step, id: `pod/${objectKey(diff.pod)}/${index + 1}`, after: [] }),
  );
  return {
    ...head(diff, live, blockers, podNotes({ ...draft, steps })),
    actions,
    ...(actions.length === 0 ? {} : { input: podInputDigest(diff.desired, live.networks) }),
    differences: diff.attachments.flatMap(({ differences }) => differences),
    ...(ports === undefined ? {} : { ports }),
    unmanaged: unmanagedInterfaces(diff),
  };
}

function sizeBlocker(draft: PodDraft): Blocker | undefined {
  const { pod } = draft.diff;
  const after = editedNetworks(draft);
  if (after === undefined) return undefined;
  const plugs = draft.steps.filter(({ kind }) => kind === 'pod-plug');
  // The record of what patchpanel plugged grows with it.
  const growth = Buffer.byteLength(after) - Buffer.byteLength(pod.networksText ?? '') + JSON.stringify(plugs).length;
  if (growth <= 0 || pod.annotationBytes + growth <= mostAnnotationBytes) return undefined;
  const message = `the annotations of ${pod.name} would grow beyond the 256 KiB that Kubernetes stores`;
  return blocker('pod-annotation-size', undefined, message, 'Remove annotations or attachments of the pod.');
}

function twicePlan(several: readonly PodDiff[], live: LiveState): PodPlan {
  const [first] = several;
  if (first === undefined) throw new RangeError('no pod');
  const who = several.map(
    ({ desired }) => `${podQueryKey(desired.query)} at ${desired.position.file}:${desired.position.line}`,
  );
  const message = `the pod ${first.pod.name} is declared by several objects: ${who.join(', ')}`;
  const found = blocker(
    'pod-declared-twice',
    undefined,
    message,
    'Make the selectors exclude each other, or merge the objects.',
  );
  return { ...head(first, live, [found], []), actions: [], differences: [], unmanaged: unmanagedInterfaces(first) };
}

function absentPlan({ desired }: AbsentPods, live: LiveState): PodPlan {
  const key = podQueryKey(desired.query);
  const isNamed = 'name' in desired.query;
  const remedy = 'Create the pod, or correct the name in the repository, or remove the object.';
  const missing = blocker('pod-not-found', undefined, `the cluster has no pod ${key}`, remedy);
  const note: Note = { code: 'no-pod-matches', message: `no pod that runs, or is about to, matches ${key}` };
  return {
    ...head({ desired }, live, isNamed ? [missing] : [], isNamed ? [] : [note]),
    actions: [],
    differences: [],
    unmanaged: [],
  };
}

type Head = Omit<PodPlan, 'actions' | 'differences' | 'ports' | 'unmanaged'>;

function head(
  { desired, pod }: PodDiff | AbsentPods,
  live: LiveState,
  blockers: readonly Blocker[],
  notes: readonly Note[],
): Head {
  const target = { kind: 'Pod', namespace: desired.query.namespace, name: pod?.name ?? desired.name } as const;
  const { file, line, column } = desired.position;
  const owned = pod?.owned.map(({ network }) => objectKey(network)) ?? [];
  const declared = desired.attachments.map(({ network }) => objectKey(network));
  const positions = new Map(desired.attachments.map((one) => [one.name, one.position]));
  return {
    target,
    ...(pod === undefined ? {} : { uid: pod.uid }),
    position: { file, line, column },
    runState: podRunState(pod),
    blockers: blockers.map((found) => {
      const position = positions.get(found.attachment ?? '');
      return position === undefined ? found : { ...found, position };
    }),
    notes,
    declared: desired.attachments.map(plannedElement),
    ...(desired.domain === undefined ? {} : { domain: desired.domain }),
    read: readPodFields(target, live, {
      networks: [...new Set([...owned, ...declared])].sort(),
      domain: desired.domain !== undefined,
    }),
  };
}
