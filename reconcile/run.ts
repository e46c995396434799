/** The engine as a whole: the only place that knows the order of the rooms. */
import { type AdoptedVm, adoptedState, adoptVms } from './adopt/adopt.ts';
import { type Taking, takingsOf } from './adopt/take.ts';
import { type ApplyOptions, applyPlan, hasWork } from './apply/apply.ts';
import type { OnRunEvent, Outcome } from './apply/model.ts';
import { type GitSource, headOf } from './desired/git-source.ts';
import { parseGitUrl } from './desired/git-url.ts';
import { defaultLimits } from './desired/limits.ts';
import { type DesiredSource, type LoadOptions, loadDesired } from './desired/load.ts';
import { type DesiredState, defaultSettings, podQueryKey } from './desired/model.ts';
import type { Policy } from './desired/policy.ts';
import { revision } from './desired/revision.ts';
import { settingsOfNow, tightenedKeys, underPolicy } from './desired/tighten.ts';
import { diffState, needsDomainXml } from './diff/diff.ts';
import type { TargetDiff } from './diff/model.ts';
import { diffPods } from './diff/pods.ts';
import { pruned } from './diff/prune.ts';
import { PatchpanelError, PatchpanelErrors } from './errors.ts';
import type { Cluster } from './kube/cluster.ts';
import { readDomains } from './live/domain.ts';
import type { DomainReading, LiveState, LiveVm } from './live/model.ts';
import { specNics } from './live/nics.ts';
import { type DomainXmlPolicy, observe, type Wanted } from './live/observe.ts';
import { readPolicy } from './live/policy.ts';
import { selectVms, type VmSelection } from './live/select.ts';
import { checkStale, readNetworks, restsOnDomainXml, restsOnPortKnobs, type StaleTarget } from './plan/fingerprint.ts';
import { isPodPlan, type Plan } from './plan/model.ts';
import { makePlan } from './plan/plan.ts';
import type { PlanGround } from './report/html/plan-picture.ts';
import { shortRevision } from './report/words.ts';
import { type Guarded, type GuardedSteps, guarded } from './runs/guarded.ts';
import type { LockOptions } from './runs/lock.ts';
import { isFresh, type RunFacts, type RunRecord } from './runs/record.ts';
import { readRecord } from './runs/record-store.ts';
import { fields } from './systems/json-shape.ts';
import { readEvidence, readPodEvidence, readVm } from './trace/evidence.ts';
import type { Trace } from './trace/model.ts';
import { makePodTrace, podSubjectOf } from './trace/pod-trace.ts';
import { subjectOf } from './trace/subject.ts';
import { makeTrace } from './trace/trace.ts';
import { type Json, type ObjectName, objectKey } from './vocabulary.ts';

export interface LoadUnderPolicy extends LoadOptions {
  /** Of the platform owner; the settings of the repository are tightened by it. */
  readonly policy?: Policy;
}

/** Renders and checks the desired state; no cluster is involved. */
export async function load(
  source: DesiredSource,
  options: LoadUnderPolicy,
  onEvent: OnRunEvent,
): Promise<DesiredState> {
  // A URL may hold a password, which no log may show.
  const shown = source.kind === 'git' ? `${parseGitUrl(source.url).url} at ${source.ref}` : source.path;
  onEvent({ type: 'rendering', source: shown });
  const desired = await stage('render', () =>
    loadDesired(source, options, (event) => {
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
): Promise<{ readonly plan: Plan; readonly ground: PlanGround }> {
  onEvent({ type: 'observing', server: cluster.server });
  const started = performance.now();
  const seen = await stage('observe', async () =>
    withPruned(desired, await observe(cluster, wanted(desired), { domainXml }), cluster, domainXml),
  );
  const compared = await stage('diff', () => diffState(desired, seen));
  const { live, diffs } =
    domainXml === 'auto' ? await withDomains(desired, seen, compared, cluster) : { live: seen, diffs: compared };
  const pods = desired.pods === undefined ? {} : { pods: podCount(live) };
  onEvent({ type: 'observed', vms: live.vms.size, ...pods, milliseconds: performance.now() - started });
  const made = await stage('plan', () => makePlan(diffs, desired, live));
  return { plan: made, ground: { desired, live, diffs } };
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

/** Adds the VMs that are to be pruned, of which the first look kept no more than their names. */
async function withPruned(
  desired: DesiredState,
  seen: LiveState,
  cluster: Cluster,
  domainXml: DomainXmlPolicy,
): Promise<LiveState> {
  const gone = pruned(seen.undeclared ?? [], desired);
  if (gone.length === 0) return seen;
  const { vms, networks } = await observe(cluster, { targets: gone }, { domainXml });
  return {
    ...seen,
    vms: new Map([...seen.vms, ...vms].sort(([a], [b]) => (a < b ? -1 : 1))),
    networks: new Map([...networks, ...seen.networks].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

function podCount({ pods }: LiveState): number {
  return [...(pods?.byQuery.values() ?? [])].reduce((sum, found) => sum + found.length, 0);
}

function wanted(desired: DesiredState): Wanted {
  return {
    targets: desired.targets.map(({ target }) => target),
    networks: [...desired.targets, ...(desired.pods ?? [])].flatMap(({ attachments }) =>
      attachments.map(({ network }) => network),
    ),
    pods: (desired.pods ?? []).map(({ query, domain }) => ({
      key: podQueryKey(query),
      ...query,
      ...(domain === undefined ? {} : { domain }),
    })),
    portField: desired.targets.some(({ pciePorts }) => pciePorts !== undefined),
    everywhere: desired.settings.prune && desired.source.mark !== undefined,
  };
}

/** Adds the domains that the plan depends on: ports change only at a start, and NICs only where there is a difference. */
async function withDomains(
  desired: DesiredState,
  seen: LiveState,
  compared: readonly TargetDiff[],
  cluster: Cluster,
): Promise<{ readonly live: LiveState; readonly diffs: readonly TargetDiff[] }> {
  const vms = compared.filter(needsDomainXml).flatMap((diff) => diff.live ?? []);
  if (vms.length === 0) return { live: seen, diffs: compared };
  const live = withReadings(seen, await readDomains(cluster, vms));
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

/** What moved, the parts that people know first, and not more than a reader takes in. */
function movedWords(moved: StaleTarget['moved']): string {
  const parts = ['vm', 'vmi', 'networks', 'cluster', 'pod', 'macs', 'hardware', 'domain'];
  const rank = ({ field }: { readonly field: string }): number => parts.indexOf(field.split('.')[0] ?? '');
  const words = moved.toSorted((a, b) => rank(a) - rank(b)).map(movedWord);
  const shown = words.slice(0, 3).join('; ');
  return words.length > 3 ? `${shown}; and ${words.length - 3} more` : shown;
}

/** Objects come and go as a whole; their content would only hide that. */
function movedWord({ field, was, is }: StaleTarget['moved'][number]): string {
  if (was === null) return `${field} is new${valueWords(is)}`;
  return is === null
    ? `${field} is gone${valueWords(was)}`
    : `${field} was ${JSON.stringify(was)}, is ${JSON.stringify(is)}`;
}

function valueWords(value: Json): string {
  return typeof value === 'object' ? '' : ` (${JSON.stringify(value)})`;
}

/** The networks that a plan depends on: those that it plugs into, and those that it leaves. */
function networksOf({ targets }: Plan): readonly ObjectName[] {
  return targets.flatMap(({ read }) => readNetworks(read.fields));
}

/** What holds over all repositories. @throws what {@link readPolicy} throws */
export async function policyOf(cluster: Cluster, place: ObjectName): Promise<Policy> {
  return await readPolicy(cluster, place);
}

/**
 * A saved plan, unless what it was made from has moved, under the policy of now.
 * @throws PatchpanelError `plan/stale`, also where the policy would no longer let it be made
 */
export async function freshEnough(saved: Plan, policy: Policy | undefined, cluster: Cluster): Promise<Plan> {
  const settings = policy === undefined ? saved.settings : settingsOfNow(saved.settings, policy);
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
): Promise<Guarded<Outcome>> {
  return await guarded(cluster, lock, stop, { ...steps, hasWork: (planned) => hasWork(planned, new Date()) }, onEvent);
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
  const { live, diffs } =
    domainXml === 'auto' ? await withDomains(desired, seen, compared, cluster) : { live: seen, diffs: compared };
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
  const [head, record] = await Promise.all([headOf(source, defaultLimits, signal), readRecord(cluster, place)]);
  if (head === undefined || record === undefined) return undefined;
  return isFresh(record, facts, head, new Date(), recheckAfterMs) ? record : undefined;
}

/**
 * Looks at one VM in every layer, and at what the cluster says of it. Reads only.
 * @param desired what the VM is held against; its own template where it is undefined
 * @throws PatchpanelError `cluster/not-found` where there is no such VM
 */
export async function trace(
  target: ObjectName,
  desired: DesiredState | undefined,
  cluster: Cluster,
  domainXml: DomainXmlPolicy,
  onEvent: OnRunEvent,
): Promise<Trace> {
  onEvent({ type: 'observing', server: cluster.server });
  const started = performance.now();
  const object = await readVm(cluster, target);
  if (object === undefined) throw new PatchpanelError('cluster/not-found', `no VirtualMachine ${objectKey(target)}`);
  const declared = desired?.targets.find((each) => objectKey(each.target) === objectKey(target));
  const own = specNics(fields(fields(object.spec).template).spec, target.namespace);
  const networks = [...own, ...(declared?.attachments ?? [])].flatMap(({ network }) => network ?? []);
  const portField = declared?.pciePorts !== undefined;
  const [seen, evidence] = await Promise.all([
    observe(cluster, { targets: [target], networks, portField }, { domainXml: 'never' }),
    readEvidence(cluster, target, object),
  ]);
  const vm = seen.vms.get(objectKey(target));
  if (vm === undefined) throw new PatchpanelError('cluster/not-found', `no VirtualMachine ${objectKey(target)}`);
  const read =
    domainXml === 'never' ? vm : { ...vm, domain: (await readDomains(cluster, [vm])).get(objectKey(vm)) ?? vm.domain };
  const subject = subjectOf(read, declared, desired !== undefined);
  const live = { ...seen, vms: new Map([[objectKey(target), subject.live]]) };
  const state: DesiredState = {
    source: desired?.source ?? { kind: 'folder', path: '', digest: '' },
    settings: desired?.settings ?? defaultSettings,
    targets: [subject.desired],
    files: 0,
  };
  const [diff] = diffState(state, live);
  if (diff === undefined) throw new Error('the subject of a trace has a difference of its own');
  const [planned] = makePlan([diff], state, live).targets;
  onEvent({ type: 'observed', vms: 1, milliseconds: performance.now() - started });
  return makeTrace({ subject, diff, plan: planned, live, evidence, desired, declared });
}

/**
 * The same for a plain pod, which is held against its annotation where no desired state names or selects it.
 * @throws PatchpanelError `cluster/not-found` where there is no such pod
 */
export async function tracePod(
  target: ObjectName,
  desired: DesiredState | undefined,
  cluster: Cluster,
  domainXml: DomainXmlPolicy,
  onEvent: OnRunEvent,
): Promise<Trace> {
  onEvent({ type: 'observing', server: cluster.server });
  const started = performance.now();
  const evidence = await readPodEvidence(cluster, target);
  const key = objectKey(target);
  const candidates = (desired?.pods ?? []).filter(({ query }) => query.namespace === target.namespace);
  const networks = candidates.flatMap(({ attachments }) => attachments.map(({ network }) => network));
  const wishes = candidates.map(({ query, domain }) => ({
    key: podQueryKey(query),
    ...query,
    ...(domain === undefined ? {} : { domain }),
  }));
  const byName = wishes.some((wish) => wish.key === key) ? [] : [{ key, ...target }];
  const seen = await observe(cluster, { targets: [], networks, pods: [...wishes, ...byName] }, { domainXml });
  const found = seen.pods?.byQuery.get(key)?.[0];
  if (evidence === undefined || found === undefined) throw new PatchpanelError('cluster/not-found', `no pod ${key}`);
  const declared = candidates.find(({ query }) =>
    'name' in query
      ? query.name === target.name
      : seen.pods?.byQuery.get(podQueryKey(query))?.some(({ uid }) => uid === found.uid),
  );
  const reading = declared === undefined ? undefined : seen.pods?.byQuery.get(podQueryKey(declared.query));
  const pod = reading?.find(({ uid }) => uid === found.uid) ?? found;
  const subject = podSubjectOf(pod, declared, desired !== undefined);
  const live = seen.pods === undefined ? seen : { ...seen, pods: { ...seen.pods, byQuery: new Map([[key, [pod]]]) } };
  const state: DesiredState = {
    source: desired?.source ?? { kind: 'folder', path: '', digest: '' },
    settings: desired?.settings ?? defaultSettings,
    targets: [],
    pods: [subject.desired],
    files: 0,
  };
  const [diff] = diffPods([subject.desired], live);
  if (diff?.pod === undefined) throw new Error('the subject of a trace has a difference of its own');
  const planned = makePlan([], state, live).targets.find(isPodPlan);
  onEvent({ type: 'observed', vms: 0, pods: 1, milliseconds: performance.now() - started });
  return makePodTrace({ subject, diff, plan: planned, live, evidence, desired, declared: declared !== undefined });
}
