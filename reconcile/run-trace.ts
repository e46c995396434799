import type { OnRunEvent } from './apply/model.ts';
import { type DesiredState, defaultSettings, podQueryKey } from './desired/model.ts';
import { diffState } from './diff/diff.ts';
import { diffPods } from './diff/pods.ts';
import { PatchpanelError } from './errors.ts';
import type { Cluster } from './kube/cluster.ts';
import { readDomains } from './live/domain.ts';
import { specNics } from './live/nics.ts';
import { type DomainXmlPolicy, observe } from './live/observe.ts';
import { podWish } from './live/wanted.ts';
import { isPodPlan } from './plan/model.ts';
import { makePlan } from './plan/plan.ts';
import { fields } from './systems/json-shape.ts';
import { readEvidence, readPodEvidence, readVm } from './trace/evidence.ts';
import type { Trace } from './trace/model.ts';
import { makePodTrace, podSubjectOf } from './trace/pod-trace.ts';
import { subjectOf } from './trace/subject.ts';
import { makeTrace } from './trace/trace.ts';
import { type ObjectName, objectKey } from './vocabulary.ts';

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
  const state = alone(desired, { targets: [subject.desired] });
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
  const wishes = candidates.map(podWish);
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
  const state = alone(desired, { targets: [], pods: [subject.desired] });
  const [diff] = diffPods([subject.desired], live);
  if (diff?.pod === undefined) throw new Error('the subject of a trace has a difference of its own');
  const planned = makePlan([], state, live).targets.find(isPodPlan);
  onEvent({ type: 'observed', vms: 0, pods: 1, milliseconds: performance.now() - started });
  return makePodTrace({ subject, diff, plan: planned, live, evidence, desired, declared: declared !== undefined });
}

/** The subject of a trace as a desired state of its own. */
function alone(desired: DesiredState | undefined, subject: Pick<DesiredState, 'targets' | 'pods'>): DesiredState {
  return {
    source: desired?.source ?? { kind: 'folder', path: '', digest: '' },
    settings: desired?.settings ?? defaultSettings,
    ...subject,
    files: 0,
  };
}
