/** What is to be left alone: all of a repository, a namespace, one VM or pod. Nothing at all is written to it. */
import { type AppliedPolicy, type DesiredState, podQueryKey, type Settings } from '../desired/model.ts';
import type { TargetDiff } from '../diff/model.ts';
import type { Position } from '../errors.ts';
import type { LiveState } from '../live/model.ts';
import type { Suspension } from '../live/suspension.ts';
import { suspendAnnotation } from '../systems/patchpanel.ts';
import type { ObjectName } from '../vocabulary.ts';
import type { Blocker, TargetName } from './model.ts';
import { targetKeyOf } from './removals.ts';
import { blocker } from './steps.ts';

interface Subject {
  readonly target: TargetName;
  /** Of its object, where that says so itself. */
  readonly declared?: Position;
  readonly annotation?: Suspension;
}

/** Why each VM and pod that is suspended is left alone, by `targetKeyOf`; every reason must be lifted on its own. */
export function suspensions(
  diffs: readonly TargetDiff[],
  desired: DesiredState,
  live: LiveState,
): ReadonlyMap<string, readonly Blocker[]> {
  const found = new Map<string, readonly Blocker[]>();
  for (const subject of [...vmSubjects(diffs), ...podSubjects(desired, live)]) {
    const reasons = reasonsOf(subject, desired);
    if (reasons.length > 0) found.set(targetKeyOf(subject.target), reasons);
  }
  return found;
}

export function isSuspended(blockers: readonly Blocker[] | undefined): boolean {
  return blockers?.some(({ code }) => code === 'suspended') === true;
}

function vmSubjects(diffs: readonly TargetDiff[]): readonly Subject[] {
  return diffs.map(({ desired: { target, suspended, position }, live: vm }) => ({
    target,
    ...(suspended === undefined ? {} : { declared: position }),
    ...(vm?.suspension === undefined ? {} : { annotation: vm.suspension }),
  }));
}

function podSubjects({ pods = [] }: DesiredState, live: LiveState): readonly Subject[] {
  return pods.flatMap(({ query, suspended, position }) =>
    (live.pods?.byQuery.get(podQueryKey(query)) ?? []).map(
      ({ namespace, name, suspension }): Subject => ({
        target: { kind: 'Pod', namespace, name },
        ...(suspended === undefined ? {} : { declared: position }),
        ...(suspension === undefined ? {} : { annotation: suspension }),
      }),
    ),
  );
}

function reasonsOf({ target, declared, annotation }: Subject, { settings, policy }: DesiredState): readonly Blocker[] {
  return [
    ...ofSettings(target, settings, policy),
    ...(declared === undefined ? [] : [ofObject(target, declared)]),
    ...(annotation === undefined ? [] : [ofAnnotation(target, annotation)]),
  ];
}

function ofSettings(
  { namespace }: ObjectName,
  { suspend, suspendedNamespaces = [] }: Settings,
  policy: AppliedPolicy | undefined,
): readonly Blocker[] {
  const asked = (key: keyof Settings): readonly string[] | undefined => {
    const tightened = policy?.tightened.find((each) => each.key === key);
    return tightened === undefined ? undefined : (tightened.asked?.split(', ') ?? []);
  };
  const found: Blocker[] = [];
  if (suspend === true) {
    const byPolicy = asked('suspend') !== undefined;
    const whose = byPolicy ? 'the policy of the platform suspends everything' : 'the Settings suspend everything';
    const remedy = byPolicy ? ownerOf(policy) : 'Remove suspend from the Settings.';
    found.push(blocker('suspended', undefined, whose, remedy));
  }
  if (suspendedNamespaces.includes(namespace)) {
    const byPolicy = asked('suspendedNamespaces')?.includes(namespace) === false;
    const whose = byPolicy ? 'the policy of the platform suspends' : 'the Settings suspend';
    const remedy = byPolicy ? ownerOf(policy) : `Remove ${namespace} from suspendedNamespaces in the Settings.`;
    found.push(blocker('suspended', undefined, `${whose} the namespace ${namespace}`, remedy));
  }
  return found;
}

function ownerOf(policy: AppliedPolicy | undefined): string {
  return `Ask the owner of the platform, whose policy is in ${policy?.from ?? 'a ConfigMap'}.`;
}

function ofObject({ name }: ObjectName, { file, line }: Position): Blocker {
  const message = `the object of ${name} says suspend: true`;
  return blocker('suspended', undefined, message, `Remove spec.suspend from it, at ${file}:${line}.`);
}

function ofAnnotation({ kind, namespace, name }: TargetName, { by, at }: Suspension): Blocker {
  const who = by === undefined ? '' : `, set by ${by}${at === undefined ? '' : ` at ${at}`}`;
  const message = `${name} has the annotation ${suspendAnnotation}${who}`;
  const what = kind === 'Pod' ? 'pod' : 'vm';
  const remedy = `When whoever set it agrees: kubectl -n ${namespace} annotate ${what} ${name} ${suspendAnnotation}-`;
  return blocker('suspended', undefined, message, remedy);
}
