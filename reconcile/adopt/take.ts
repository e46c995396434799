/** Puts NICs on the record of what patchpanel may unplug, and changes nothing else of the VM. */
import { setTimeout as sleep } from 'node:timers/promises';
import { PatchpanelError } from '../errors.ts';
import type { Cluster, KubeObject, PatchOperation } from '../kube/cluster.ts';
import { apiFailure, isLost } from '../kube/failures.ts';
import { virtualMachines } from '../kube/resources.ts';
import type { LiveVm } from '../live/model.ts';
import { projectVm } from '../live/project.ts';
import { fields } from '../systems/json-shape.ts';
import { ownedAnnotation } from '../systems/patchpanel.ts';
import { type Json, type ObjectName, objectKey } from '../vocabulary.ts';
import type { AdoptedVm } from './adopt.ts';

/** What would go on the record of one VM. */
export interface Taking {
  readonly target: ObjectName;
  readonly uid: string;
  /** Declared NICs that are not on it yet, sorted. */
  readonly names: readonly string[];
  /** Why nothing of this VM is taken. */
  readonly refused?: string;
}

/** NICs of adopted VMs that are not owned yet; VMs without any are left out. */
export function takingsOf(adopted: readonly AdoptedVm[], vms: ReadonlyMap<string, LiveVm>): readonly Taking[] {
  return adopted.flatMap(({ target }): readonly Taking[] => {
    const vm = vms.get(objectKey(target.target));
    if (vm === undefined) return [];
    const names = target.attachments.map(({ name }) => name).filter((name) => !vm.owned.includes(name));
    if (names.length === 0) return [];
    const refused = refusal(vm);
    const { namespace, name, uid } = vm;
    return [{ target: { namespace, name }, uid, names: names.sort(), ...(refused === undefined ? {} : { refused }) }];
  });
}

/** A record that patchpanel could not act on would only mislead. */
function refusal(vm: LiveVm): string | undefined {
  if (vm.pool !== undefined) return `it belongs to the VirtualMachinePool ${vm.pool}`;
  if (vm.otherManagers.length === 0 || vm.sharedOwnershipAcknowledged) return undefined;
  const tools = [...new Set(vm.otherManagers.map(({ tool }) => tool))].sort().join(', ');
  return `its NICs are also written by ${tools}; see what plan says of shared-ownership`;
}

const annotationsPath = '/metadata/annotations';
const ownedPath = `${annotationsPath}/${ownedAnnotation.replaceAll('~', '~0').replaceAll('/', '~1')}`;
/** Attempts against other writers: virt-controller writes VMs at any time. */
const attempts = 5;
const unfitPatch = 'the server rejected our request due to an error in our request';

/**
 * Records the NICs, in one patch with `test` on all that it rests on; safe to repeat.
 * @throws PatchpanelError `cluster/conflict` where the VM or one of the NICs is no longer there, `cluster/*` else
 */
export async function takeOwnership(cluster: Cluster, { target, uid, names }: Taking): Promise<void> {
  let last: unknown;
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    if (attempt > 0) await sleep(Math.random() * 50 * 2 ** attempt);
    const vm = await cluster.get(virtualMachines, target.namespace, target.name);
    if (vm === undefined || vm.metadata.uid !== uid) throw gone(target, 'the VM was deleted');
    const patch = recordPatch(vm, names);
    if (typeof patch === 'string') throw gone(target, patch);
    if (patch.length === 0) return;
    try {
      await cluster.jsonPatch(virtualMachines, target.namespace, target.name, patch);
      return;
    } catch (error) {
      last = error;
      const failure = apiFailure(error);
      const isRace = failure?.status === 409 || (failure?.status === 422 && failure.message === unfitPatch);
      if (!isRace && !isLost(error)) throw error;
    }
  }
  throw last;
}

/** The patch that adds the names to the record; none where they are on it, a text where one can't be. */
function recordPatch(vm: KubeObject, names: readonly string[]): readonly PatchOperation[] | string {
  const { nics, owned } = projectVm(vm);
  for (const name of names) {
    const nic = nics.find((candidate) => candidate.name === name);
    if (nic === undefined || nic.isDefault || nic.state === 'absent') return `it has no NIC ${name} to take any more`;
  }
  const record = [...new Set([...owned, ...names])].sort();
  if (record.length === new Set(owned).size) return [];
  const value = JSON.stringify(record);
  const spec = fields(fields(fields(vm.spec).template).spec);
  const { annotations } = vm.metadata;
  const before = annotations?.[ownedAnnotation];
  const tests: PatchOperation[] = [
    { op: 'test', path: '/metadata/uid', value: vm.metadata.uid ?? null },
    { op: 'test', path: '/spec/template/spec/networks', value: json(spec.networks) },
    {
      op: 'test',
      path: '/spec/template/spec/domain/devices/interfaces',
      value: json(fields(fields(spec.domain).devices).interfaces),
    },
  ];
  // `add` below a map that is missing is refused.
  if (annotations === undefined) {
    const added = { [ownedAnnotation]: value };
    return [
      ...tests,
      { op: 'test', path: annotationsPath, value: null },
      { op: 'add', path: annotationsPath, value: added },
    ];
  }
  return [
    ...tests,
    { op: 'test', path: ownedPath, value: before ?? null },
    { op: before === undefined ? 'add' : 'replace', path: ownedPath, value },
  ];
}

function json(value: unknown): Json {
  return value === undefined ? null : (value as Json);
}

function gone(target: ObjectName, why: string): PatchpanelError {
  return new PatchpanelError('cluster/conflict', `VM ${objectKey(target)} changed meanwhile: ${why}`);
}
