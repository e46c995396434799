/** How actions, sources and VMs are put into words, the same in every output. */
import type { SourceIdentity } from '../desired/model.ts';
import type { Plan, PlanAction, PlannedAttachment, PlanUndeclared, RunState } from '../plan/model.ts';
import { annotations, portFieldPath } from '../systems/kubevirt-names.ts';
import { sourceAnnotation } from '../systems/patchpanel.ts';
import type { ObjectName } from '../vocabulary.ts';
import { windowWords } from '../windows/windows.ts';
import { describePodAction } from './pod-words.ts';

/** The revision, short enough for a headline. */
export function shortRevision(source: SourceIdentity): string {
  return source.kind === 'git'
    ? `${source.ref}@${source.commit.slice(0, 8)}`
    : `folder@${source.digest.replace(/^sha256:/, '').slice(0, 8)}`;
}

/** Where the desired state came from. */
export function sourceName(source: SourceIdentity): string {
  if (source.kind === 'folder') return source.path;
  return source.path === '' || source.path === '.' ? source.url : `${source.url} ${source.path}`;
}

/** A network without its namespace where that is the namespace of the VM. */
export function networkName(network: ObjectName, vm: ObjectName): string {
  return network.namespace === vm.namespace ? network.name : `${network.namespace}/${network.name}`;
}

/** Sign of an action in the margin: `+` adds a NIC, `-` removes one, `~` changes one, `.` writes nothing new. */
export function sign(action: PlanAction): '+' | '-' | '~' | '.' {
  switch (action.kind) {
    case 'plug':
    case 'pod-plug':
    case 'domain-attach':
      return '+';
    case 'unplug':
    case 'pod-unplug':
    case 'domain-detach':
      return '-';
    case 'link':
    case 'swap':
    case 'edit-template':
    case 'set-ports':
    case 'restart':
    case 'pod-kick':
    case 'pod-repair':
    case 'domain-link':
      return '~';
    case 'follow':
    case 'release':
    case 'pod-follow':
    case 'pod-release':
      return '.';
    default:
      return action satisfies never;
  }
}

function attachmentWords(attachment: PlannedAttachment, vm: ObjectName): string {
  const parts: string[] = [attachment.name, 'into', networkName(attachment.network, vm)];
  if (attachment.binding !== 'bridge') parts.push(attachment.binding);
  if (attachment.mac !== undefined) parts.push(`mac ${attachment.mac}`);
  if (attachment.model !== undefined && attachment.model !== 'virtio') parts.push(attachment.model);
  if (attachment.state === 'down') parts.push('link down');
  return parts.join(' ');
}

const untilWords = {
  plugged: 'is being plugged',
  gone: 'is being unplugged',
  link: 'changes its link state',
  swapped: 'moves to its new network',
} as const;

/** One action in words, without its sign: `plug storage into storage-net`. */
export function describeAction(action: PlanAction, vm: ObjectName): string {
  switch (action.kind) {
    case 'plug': {
      const how = action.delivery === 'migration' ? ', by migration' : '';
      return `plug ${action.attachments.map((attachment) => attachmentWords(attachment, vm)).join('; ')}${how}`;
    }
    case 'unplug':
      return `unplug ${action.attachments.join(', ')}${action.delivery === 'migration' ? ', by migration' : ''}`;
    case 'link':
      return `set the link of ${action.attachment} ${action.state}`;
    case 'swap':
      return `move ${action.attachment} from ${networkName(action.from, vm)} to ${networkName(action.to, vm)}, by migration`;
    case 'follow':
      return `wait: ${action.attachment} ${untilWords[action.until]}`;
    case 'edit-template': {
      const parts: string[] = [];
      if (action.put.length > 0) parts.push(`put ${action.put.map((item) => attachmentWords(item, vm)).join('; ')}`);
      if (action.remove.length > 0) parts.push(`remove ${action.remove.join(', ')}`);
      return `edit the template: ${parts.join('; ')}${action.staged ? ' (takes effect at the next restart)' : ''}`;
    }
    case 'set-ports': {
      const where = { field: portFieldPath, 'slot-count': annotations.pciSlotCount, sidecar: annotations.hookSidecars };
      const value = action.knob === 'sidecar' ? `a script for ${action.value} ports` : action.value;
      return `set ${where[action.knob]} to ${value} in the template (takes effect at the next ${action.staged ? 'restart' : 'start'})`;
    }
    case 'restart':
      return `restart ${vm.name} (only in a window: ${action.windows.map(windowWords).join('; ')})`;
    case 'release':
      if (action.attachments.length === 0) return 'lift its hold: it is as declared by now';
      return `drop the ownership record of ${action.attachments.join(', ')}`;
    default:
      return describePodAction(action, vm);
  }
}

export const runStateWords: Readonly<Record<RunState, string>> = {
  running: 'running',
  stopped: 'stopped',
  starting: 'starting',
  stopping: 'stopping',
  migrating: 'migrating',
  paused: 'paused',
  missing: 'not in the cluster',
};

/** So many VMs without an object are named; the rest is counted. */
const undeclaredShown = 10;

/** VMs that the repository no longer names, a line each. */
export function undeclaredLines({ undeclared = [], source }: Pick<Plan, 'undeclared' | 'source'>): readonly string[] {
  const lines = undeclared.slice(0, undeclaredShown).map((vm) => {
    const { namespace, name, owned } = vm;
    const more = owned.length > undeclaredShown ? `, and ${owned.length - undeclaredShown} more` : '';
    return `${namespace}/${name} has no object in the repository; what patchpanel plugged there stays: ${owned.slice(0, undeclaredShown).join(', ')}${more}${whyLeft(vm, source.mark)}`;
  });
  const more = undeclared.length - undeclaredShown;
  return more > 0
    ? [...lines, `${count(more, 'more VM')} without an object ${more === 1 ? 'has' : 'have'} such NICs`]
    : lines;
}

/** Why it is not pruned, and what would change that; nothing where pruning is off. */
function whyLeft({ namespace, name, source = '', why }: PlanUndeclared, mark = ''): string {
  const take = `kubectl -n ${namespace} annotate vm ${name} ${sourceAnnotation}='${mark}' --overwrite`;
  switch (why) {
    case 'prune-off':
      return '';
    case 'no-id':
      return `. A folder prunes nothing: nothing tells whose VM it is (${source === '' ? 'it bears no mark' : `its mark is ${source}`}). Plan the URL of the repository, or give --source-id${source === '' ? '' : ` '${source}'`}`;
    case 'no-mark':
      return `. It is not pruned, as it bears no mark of a repository; if it was declared here: ${take}`;
    case 'other-rendering':
      return `. It is not pruned, as it was applied from ${source}, and this is ${mark}; if that is the same: ${take}`;
    default:
      return why satisfies never;
  }
}

/** `2 VMs`, `1 pod`, `2 VMs and 1 pod`: what there is of either. */
export function fleetWords(vms: number, pods: number | undefined): string {
  if (pods === undefined) return count(vms, 'VM');
  return vms === 0 ? count(pods, 'pod') : `${count(vms, 'VM')} and ${count(pods, 'pod')}`;
}

/** What a number of either is a number of. */
export function fleetNoun({ vms, pods }: { readonly vms: number; readonly pods?: number }): string {
  if (pods === undefined) return 'VM';
  return vms === 0 ? 'pod' : 'target';
}

/** `1 VM`, `2 VMs`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** `0.8 s`, `1 min 5 s`. */
export function duration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}
