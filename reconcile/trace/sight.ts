/** What runs now of the VMs and pods that patchpanel has to do with, for a picture. Reads only. */

import { defaultSettings } from '../desired/model.ts';
import { diffState, needsDomainXml } from '../diff/diff.ts';
import type { TargetDiff } from '../diff/model.ts';
import { diffPods, type PodDiff } from '../diff/pods.ts';
import { PatchpanelError } from '../errors.ts';
import type { Cluster } from '../kube/cluster.ts';
import { isStatus } from '../kube/failures.ts';
import { readDomains } from '../live/domain.ts';
import { type DomainXmlPolicy, observe } from '../live/observe.ts';
import { ownedVms } from '../live/select.ts';
import { type ObjectName, objectKey } from '../vocabulary.ts';
import { podSubjectOf } from './pod-trace.ts';
import { subjectOf } from './subject.ts';

export interface Sight {
  /** Each VM against its own template, and each pod against its own annotation: what differs is on its way. */
  readonly vms: readonly TargetDiff[];
  readonly pods: readonly PodDiff[];
  /** Why nothing could be seen, or only a part. */
  readonly problem?: string;
}

/** What a record names. */
export interface Named {
  readonly vms: readonly ObjectName[];
  readonly pods: readonly ObjectName[];
}

/**
 * Looks at what is named, and at all VMs with NICs that patchpanel plugged. Where that is forbidden, there is nothing to see
 * and a reason.
 * @throws PatchpanelError `cluster/*` for other failures
 */
export async function readSight(cluster: Cluster, named: Named, domainXml: DomainXmlPolicy): Promise<Sight> {
  try {
    const namespaces = [...new Set(named.vms.map(({ namespace }) => namespace))].sort();
    const { vms: owned, problem } = await ownedVms(cluster, namespaces);
    const targets = [...new Map([...owned, ...named.vms].map((vm) => [objectKey(vm), vm])).values()];
    const pods = named.pods.map((pod) => ({ key: objectKey(pod), namespace: pod.namespace, name: pod.name }));
    const seen = await observe(cluster, { targets, pods }, { domainXml, agents: false });
    const subjects = [...seen.vms.values()].map((vm) => subjectOf(vm, undefined, false));
    const state = {
      source: { kind: 'folder', path: '', digest: '' },
      settings: defaultSettings,
      targets: subjects.map(({ desired }) => desired),
      files: 0,
    } as const;
    const live = { ...seen, vms: new Map(subjects.map(({ live: vm }) => [objectKey(vm), vm])) };
    const diffs = diffState(state, live);
    const unread = domainXml === 'auto' ? diffs.filter(needsDomainXml).flatMap((diff) => diff.live ?? []) : [];
    const domains = await readDomains(cluster, unread);
    const vms = diffs.map((diff) => {
      const domain = diff.live === undefined ? undefined : domains.get(objectKey(diff.live));
      return diff.live === undefined || domain === undefined ? diff : { ...diff, live: { ...diff.live, domain } };
    });
    const wished = [...(seen.pods?.byQuery.values() ?? [])].flat().map((pod) => podSubjectOf(pod, undefined, false));
    const found = diffPods(
      wished.map(({ desired }) => desired),
      seen,
    );
    return {
      vms,
      pods: found.flatMap((diff) => (diff.pod === undefined ? [] : [diff])),
      ...(problem === undefined ? {} : { problem }),
    };
  } catch (error) {
    if (!(error instanceof PatchpanelError) || !(isStatus(error, 403) || error.code === 'cluster/no-kubevirt'))
      throw error;
    return { vms: [], pods: [], problem: `what runs now could not be read: ${error.message}` };
  }
}
