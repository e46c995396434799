/** The engine as a whole: the only place that knows the order of the rooms. */
import { type AdoptedVm, adoptedState, adoptVms } from './adopt/adopt.ts';
import { type Taking, takingsOf } from './adopt/take.ts';
import { type ApplyOptions, applyPlan, hasWork } from './apply/apply.ts';
import type { OnRunEvent, Outcome } from './apply/model.ts';

import { unrendered } from './change/base.ts';
import { causesOf } from './change/causes.ts';
import { compareDeclared } from './change/declared-change.ts';
import { type Base, type Change, changeVersion } from './change/model.ts';
import type { CheckoutSource } from './desired/git-checkout.ts';
import type { GitSource } from './desired/git-source.ts';

import { parseGitUrl } from './desired/git-url.ts';
import { defaultLimits } from './desired/limits.ts';
import { type LoadOptions, type LoadSource, loadDesired } from './desired/load.ts';
import { type DesiredState, defaultSettings } from './desired/model.ts';
import { type Policy, repositoriesOf } from './desired/policy.ts';
import { refuseUnvouched } from './desired/repositories.ts';
import { revision } from './desired/revision.ts';
import { settingsOfNow, tightenedKeys, underPolicy } from './desired/tighten.ts';
import { diffState, needsDomainXml } from './diff/diff.ts';
import type { TargetDiff } from './diff/model.ts';
import { pruned } from './diff/prune.ts';
import { PatchpanelError, PatchpanelErrors } from './errors.ts';
import type { Cluster } from './kube/cluster.ts';
import { readDomains } from './live/domain.ts';
import type { DomainReading, LiveState, LiveVm } from './live/model.ts';
import { narrowed } from './live/narrow.ts';
import { type DomainXmlPolicy, observe } from './live/observe.ts';
import { selectVms, type VmSelection } from './live/select.ts';
import { allWanted, wantedBy } from './live/wanted.ts';
import { checkStale, readNetworks, restsOnDomainXml, restsOnPortKnobs } from './plan/fingerprint.ts';
import { isPodPlan, type Plan } from './plan/model.ts';
import { makePlan } from './plan/plan.ts';
import { exceeds, removedIn } from './plan/removals.ts';
import type { PlanGround } from './report/html/plan-picture.ts';
import { movedWords } from './report/moved-words.ts';
import { shortRevision } from './report/words.ts';
import { type Guarded, type GuardedSteps, guarded } from './runs/guarded.ts';
import type { LockOptions } from './runs/lock.ts';
import { isFresh, type RunFacts, type RunRecord } from './runs/record.ts';
import { readRecord } from './runs/record-store.ts';
import { type ObjectName, objectKey } from './vocabulary.ts';

export interface LoadUnderPolicy extends LoadOptions {
  /** Of the platform owner; the settings of the repository are tightened by it. */
  readonly policy?: Policy;
}

/** Renders and checks the desired state; no cluster is involved. */
export async function load(source: LoadSource, options: LoadUnderPolicy, onEvent: OnRunEvent): Promise<DesiredState> {
  // A URL may hold a password, which no log may show.
  const place = source.kind === 'git' ? parseGitUrl(source.url).url : source.path;
  const shown = source.kind === 'folder' ? place : `${place} at ${source.ref}`;
  onEvent({ type: 'rendering', source: shown });
  const desired = await stage('render', () =>
    loadDesired(source, { ...options, ...repositoriesOf(options.policy) }, (event) => {
      if (event.kind === 'fetched' && source.kind === 'git') {
        onEvent({ type: 'fetched', commit: `${source.ref ?? 'HEAD'}@sha1:${event.commit}` });
      }
      if (event.kind === 'verified') onEvent({ type: 'verified', what: event.what, signer: event.signer });
    }),
  );
  onEvent({
    type: 'rendered',
    targets: desired.targets.length,
    ...(desired.pods === undefined ? {} : { pods: desired.pods.length }),
    files: desired.files,
    revision: shortRevision(desired.source),
    commit: revision(desired.source),
  });
  return options.policy === undefined ? desired : underPolicy(desired, options.policy);
}

/**
 * Reads the cluster and plans. Domain XML costs an exec into each launcher pod, so it is read only of the VMs whose plan
 * depends on it: first the cheap layers are compared, then the domains of those that differ are read and compared again.
 */
export async function plan(
  desired: DesiredState,
  cluster: Cluster,
  domainXml: DomainXmlPolicy,
  onEvent: OnRunEvent,
): Promise<Plan> {
  return (await planFrom(desired, cluster, domainXml, onEvent)).plan;
}

/** The same plan, with what it was made from: a picture shows also what is as declared. */
export async function planFrom(
  desired: DesiredState,
  cluster: Cluster,
  domainXml: DomainXmlPolicy,
  onEvent: OnRunEvent,
): Promise<GroundedPlan> {
  const [made] = await planEach([desired], cluster, domainXml, onEvent);
  if (made === undefined) throw new Error('one state has one plan');
  return made;
}

/** The state that a change starts from; undefined with the reason where it can't be rendered. */
export interface LoadedBase {
  readonly base: Base;
  readonly state?: DesiredState;
}

/**
 * Renders what a change is held against. Faults in it stop nothing: the change may be what mends them.
 * @throws PatchpanelError git/*, where the commit can't be had
 */
export async function loadBase(
  source: GitSource | CheckoutSource,
  options: LoadUnderPolicy,
  onEvent: OnRunEvent,
): Promise<LoadedBase> {
  // It is never applied: nobody has to have signed it, and what it declared elsewhere is no fault of the change.
  const { signatures: _, policy, ...others } = options;
  const brakes = policy === undefined ? {} : { policy: { from: policy.from, ceilings: policy.ceilings } };
  try {
    const state = await load(source, { ...others, ...brakes }, onEvent);
    return { base: { kind: 'rendered', source: state.source }, state };
  } catch (error) {
    return { base: unrendered(source.ref ?? 'HEAD', error) };
  }
}

/** What a change declares, as the two commits alone tell it. */
export function declaredChange(head: DesiredState, { base, state }: LoadedBase): Change {
  return { version: changeVersion, source: head.source, base, declared: compareDeclared(head, state) };
}

/**
 * Plans both commits against one reading of the cluster, and tells what the change causes from what was due before. The
 * plan of the head is the one that {@link plan} makes.
 */
export async function planChange(
  head: DesiredState,
  from: LoadedBase,
  cluster: Cluster,
  domainXml: DomainXmlPolicy,
  onEvent: OnRunEvent,
): Promise<{ readonly change: Change; readonly ground: PlanGround }> {
  // A base that is another branch is still of the repository that the VMs belong to, and may do no more than it.
  const { source, scope } = head;
  const own = { source, ...(scope === undefined ? {} : { scope }) };
  const states = from.state === undefined ? [head] : [head, { ...from.state, ...own }];
  const [made, before] = await planEach(states, cluster, domainXml, onEvent);
  if (made === undefined) throw new Error('the head has a plan');
  return { change: { ...declaredChange(head, from), cluster: causesOf(made.plan, before?.plan) }, ground: made.ground };
}

interface GroundedPlan {
  readonly plan: Plan;
  readonly ground: PlanGround;
}

/** A plan of each state, all from one reading of the cluster, and each as if it had been the only one. */
async function planEach(
  states: readonly DesiredState[],
  cluster: Cluster,
  domainXml: DomainXmlPolicy,
  onEvent: OnRunEvent,
): Promise<readonly GroundedPlan[]> {
  onEvent({ type: 'observing', server: cluster.server });
  const started = performance.now();
  const { seen, views } = await stage('observe', async () => {
    const all = await observe(cluster, allWanted(states.map(wantedBy)), { domainXml });
    const each = states.map(async (desired) => {
      const view = states.length === 1 ? all : narrowed(all, wantedBy(desired));
      return { desired, live: await withPruned(desired, view, all, cluster, domainXml) };
    });
    return { seen: all, views: await Promise.all(each) };
  });
  const compared = await stage('diff', () => views.map(({ desired, live }) => diffState(desired, live)));
  const readings = await readingsDue(compared.flat(), cluster, domainXml);
  const pods = states.every((desired) => desired.pods === undefined) ? {} : { pods: podCount(seen) };
  const count = new Set(views.flatMap(({ live }) => [...live.vms.keys()])).size;
  onEvent({ type: 'observed', vms: count, ...pods, milliseconds: performance.now() - started });
  return await Promise.all(
    views.map(async ({ desired, live: view }, index) => {
      const { live, diffs } = await withDomains(desired, view, compared[index] ?? [], readings);
      return { plan: await stage('plan', () => makePlan(diffs, desired, live)), ground: { desired, live, diffs } };
    }),
  );
}

/** Marks how long a stage takes in the timeline of the process (User Timing), where profiles and the benchmark find it. */
async function stage<T>(name: string, work: () => T | Promise<T>): Promise<T> {
  const start = performance.now();
  try {
    return await work();
  } finally {
    performance.measure(name, { start });
  }
}

/** Adds the VMs that are to be pruned, of which the first look kept no more than their names, unless another state has them. */
async function withPruned(
  desired: DesiredState,
  seen: LiveState,
  all: LiveState,
  cluster: Cluster,
  domainXml: DomainXmlPolicy,
): Promise<LiveState> {
  const gone = pruned(seen.undeclared ?? [], desired);
  if (gone.length === 0) return seen;
  const known = gone.flatMap((vm) => all.vms.get(objectKey(vm)) ?? []);
  const targets = gone.filter((vm) => !all.vms.has(objectKey(vm)));
  const none: Pick<LiveState, 'vms' | 'networks'> = { vms: new Map(), networks: new Map() };
  const { vms, networks } = targets.length === 0 ? none : await observe(cluster, { targets }, { domainXml });
  const kept = known.map((vm): [string, LiveVm] => [objectKey(vm), vm]);
  return {
    ...seen,
    vms: new Map([...seen.vms, ...kept, ...vms].sort(([a], [b]) => (a < b ? -1 : 1))),
    networks: new Map([...networks, ...seen.networks].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

function podCount({ pods }: LiveState): number {
  return [...(pods?.byQuery.values() ?? [])].reduce((sum, found) => sum + found.length, 0);
}

/** Reads the domains that plans depend on: ports change only at a start, and NICs only where there is a difference. */
async function readingsDue(
  compared: readonly TargetDiff[],
  cluster: Cluster,
  domainXml: DomainXmlPolicy,
): Promise<ReadonlyMap<string, DomainReading>> {
  if (domainXml !== 'auto') return new Map();
  const due = compared.filter(needsDomainXml).flatMap((diff) => diff.live ?? []);
  return await readDomains(cluster, [...new Map(due.map((vm) => [objectKey(vm), vm])).values()]);
}

/** Of those domains the ones that this state depends on. */
async function withDomains(
  desired: DesiredState,
  seen: LiveState,
  compared: readonly TargetDiff[],
  readings: ReadonlyMap<string, DomainReading>,
): Promise<{ readonly live: LiveState; readonly diffs: readonly TargetDiff[] }> {
  const due = new Set(
    compared.filter(needsDomainXml).flatMap(({ live }) => (live === undefined ? [] : objectKey(live))),
  );
  const own = new Map([...readings].filter(([key]) => due.has(key)));
  if (own.size === 0) return { live: seen, diffs: compared };
  const live = withReadings(seen, own);
  return { live, diffs: await stage('diff', () => diffState(desired, live)) };
}

function withReadings(live: LiveState, readings: ReadonlyMap<string, DomainReading>): LiveState {
  const vms = [...live.vms].map(([key, vm]): [string, LiveVm] => {
    const domain = readings.get(key);
    return [key, domain === undefined ? vm : { ...vm, domain }];
  });
  return { ...live, vms: new Map(vms) };
}

/**
 * Refuses a saved plan where anything that it was made from has moved since, before a single VM or pod is touched.
 * @throws PatchpanelError `plan/stale`, PatchpanelErrors with one for each of several VMs: what moved
 */
async function refuseStale(saved: Plan, cluster: Cluster): Promise<void> {
  const vms = saved.targets.filter((target) => !isPodPlan(target));
  const pods = saved.targets.filter(isPodPlan).map(({ target, domain }) => ({
    key: objectKey(target),
    namespace: target.namespace,
    name: target.name,
    ...(domain === undefined ? {} : { domain }),
  }));
  const portField = vms.some(restsOnPortKnobs);
  const seen = await observe(
    cluster,
    { targets: vms.map(({ target }) => target), networks: networksOf(saved), portField, pods },
    { domainXml: 'never', agents: true },
  );
  const rests = vms.filter(restsOnDomainXml).flatMap(({ target }) => seen.vms.get(objectKey(target)) ?? []);
  const stale = checkStale(saved, withReadings(seen, await readDomains(cluster, rests)));
  const [first, ...others] = stale.map(
    ({ target, moved }) =>
      new PatchpanelError('plan/stale', `${objectKey(target)} is not as the plan found it: ${movedWords(moved)}`),
  );
  if (first !== undefined) throw others.length === 0 ? first : new PatchpanelErrors([first, ...others]);
}

/** The networks that a plan depends on: those that it plugs into, and those that it leaves. */
function networksOf({ targets }: Plan): readonly ObjectName[] {
  return targets.flatMap(({ read }) => readNetworks(read.fields));
}

/**
 * A saved plan, unless what it was made from has moved, under the policy of now.
 * @throws PatchpanelError `plan/stale`, also where the policy would no longer let it be made; `trust/unverifiable`
 */
export async function freshEnough(saved: Plan, policy: Policy | undefined, cluster: Cluster): Promise<Plan> {
  refuseUnvouched(saved, policy?.repositories);
  const settings = policy === undefined ? saved.settings : settingsOfNow(saved.settings, policy);
  // What a limit held back when the plan was made is not in its actions.
  const planned = removedIn(saved.targets);
  const removals = saved.removals && { ...saved.removals, planned };
  if (policy !== undefined && exceeds(removals, settings.maxRemovals)) {
    const message = `the plan would unplug more NICs (${planned}) than the policy (${policy.from}) lets it by now`;
    throw new PatchpanelError('plan/stale', message);
  }
  await refuseStale(saved, cluster);
  if (policy === undefined) return saved;
  return { ...saved, settings, policy: { from: policy.from, tightened: tightenedKeys(saved.settings, settings) } };
}

/** Carries a plan out, follows each change through every layer, and proves at the end that they agree. */
export async function apply(
  planned: Plan,
  cluster: Cluster,
  options: ApplyOptions,
  onEvent: OnRunEvent,
): Promise<Outcome> {
  return await applyPlan(planned, cluster, options, onEvent);
}

/**
 * Plans, and carries the plan out under the lock where it has work.
 * @throws PatchpanelError `run/locked` where another run holds the lock
 */
export async function applyGuarded(
  cluster: Cluster,
  lock: Omit<LockOptions, 'onWait'> | undefined,
  stop: AbortSignal,
  steps: Omit<GuardedSteps<Outcome>, 'hasWork'>,
  onEvent: OnRunEvent,
  overridesWindows = false,
): Promise<Guarded<Outcome>> {
  return await guarded(
    cluster,
    lock,
    stop,
    { ...steps, hasWork: (planned, now) => hasWork(planned, now, overridesWindows) },
    onEvent,
  );
}

/** Whose NICs are to be declared as they are: VMs by name, or all of a selection. */
export type Adopting = { readonly vms: readonly ObjectName[] } | VmSelection;

export interface Adoption {
  readonly adopted: readonly AdoptedVm[];
  /** What `--take` would put on the record of each VM. */
  readonly takings: readonly Taking[];
  /** What a plan of the adopted state finds to do at this moment, such as a plug that is under way. */
  readonly left: readonly Plan['targets'][number][];
}

/**
 * Declares what runs. The result is planned at once: where anything is left to do, it is told.
 * @throws PatchpanelError `cluster/not-found` for VMs that are not there
 */
export async function adopt(
  adopting: Adopting,
  cluster: Cluster,
  domainXml: DomainXmlPolicy,
  onEvent: OnRunEvent,
): Promise<Adoption> {
  onEvent({ type: 'observing', server: cluster.server });
  const started = performance.now();
  const targets = 'vms' in adopting ? adopting.vms : await selectVms(cluster, adopting);
  const seen = await observe(cluster, { targets }, { domainXml });
  onEvent({ type: 'observed', vms: seen.vms.size, milliseconds: performance.now() - started });
  const missing = 'vms' in adopting ? targets.filter((target) => !seen.vms.has(objectKey(target))) : [];
  if (missing.length > 0) {
    throw new PatchpanelError('cluster/not-found', `no VirtualMachine ${missing.map(objectKey).join(', ')}`);
  }
  const adopted = adoptVms(seen);
  const desired = adoptedState(adopted, defaultSettings);
  const compared = diffState(desired, seen);
  const readings = await readingsDue(compared, cluster, domainXml);
  const { live, diffs } = await withDomains(desired, seen, compared, readings);
  const { targets: planned } = makePlan(diffs, desired, live);
  return {
    adopted,
    takings: takingsOf(adopted, seen.vms),
    left: planned.filter(({ actions, blockers }) => actions.length > 0 || blockers.length > 0),
  };
}

/**
 * The record of the last full check, where the commit is still the same and the check is young: then a run may be left
 * out. One look at the git host and one at the cluster.
 */
export async function freshRecord(
  source: GitSource,
  cluster: Cluster,
  place: ObjectName,
  facts: Pick<RunFacts, 'source' | 'inputs'>,
  recheckAfterMs: number,
  signal: AbortSignal,
): Promise<RunRecord | undefined> {
  const { headOf } = await import('./desired/git-source.ts');
  const [head, record] = await Promise.all([headOf(source, defaultLimits, signal), readRecord(cluster, place)]);
  if (head === undefined || record === undefined) return undefined;
  return isFresh(record, facts, head, new Date(), recheckAfterMs) ? record : undefined;
}
