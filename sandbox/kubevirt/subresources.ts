/** start, stop and restart of a VM as virt-api serves them: PUT /apis/subresources.kubevirt.io/v1/.../virtualmachines/NAME/VERB. */
import type { Cluster, KubeObject, PatchOperation } from '../../reconcile/kube/cluster.ts';
import { isStatus } from '../../reconcile/kube/failures.ts';
import { virtualMachineInstances, virtualMachines } from '../../reconcile/kube/resources.ts';
import { fields, items, present, text } from '../../reconcile/systems/json-shape.ts';
import type { Json } from '../../reconcile/vocabulary.ts';
import type { SubresourceHandler } from '../api/contract.ts';

/** All there are; in particular no `addinterface` and `removeinterface`, which went with KubeVirt v1.1. */
export const kubevirtSubresourceNames: readonly string[] = ['start', 'stop', 'restart'];
type Verb = 'start' | 'stop' | 'restart';

/** What a request comes to: a refusal, or a patch of the VM or of its status. */
export type Decision =
  | { readonly kind: 'conflict'; readonly message: string }
  | { readonly kind: 'patch'; readonly subresource?: 'status'; readonly patch: readonly PatchOperation[] };

/**
 * The handlers.
 * @param connect the API as virt-api's service account sees it; asked at each request, since the server comes first
 */
export function kubevirtSubresources(connect: () => Pick<Cluster, 'get' | 'jsonPatch'>): readonly SubresourceHandler[] {
  return (['start', 'stop', 'restart'] as const).map((verb) => ({
    group: 'subresources.kubevirt.io',
    version: 'v1',
    plural: 'virtualmachines',
    subresource: verb,
    handle: (request) => handle(verb, request, connect()),
  }));
}

type Request = Parameters<SubresourceHandler['handle']>[0];
type Answer = Awaited<ReturnType<SubresourceHandler['handle']>>;

async function handle(verb: Verb, request: Request, cluster: Pick<Cluster, 'get' | 'jsonPatch'>): Promise<Answer> {
  const { namespace, name } = request;
  if (request.method !== 'PUT') return { status: 405, body: '405: Method Not Allowed' };
  if (!accepts(request.accept)) return { status: 406, body: '406: Not Acceptable\n\nAvailable representations: ' };
  const vm = await cluster.get(virtualMachines, namespace, name);
  if (!vm) return failure(404, 'NotFound', name, `virtualmachine.kubevirt.io "${name}" not found`);
  const vmi = await cluster.get(virtualMachineInstances, namespace, name);
  const decision = decide(verb, vm, vmi);
  if (decision.kind === 'conflict') return conflictAnswer(name, decision.message);
  const dryRun = items(fields(request.body).dryRun).includes('All');
  const { subresource } = decision;
  try {
    await cluster.jsonPatch(virtualMachines, namespace, name, decision.patch, {
      ...(dryRun ? { dryRun } : {}),
      ...(subresource ? { subresource } : {}),
    });
  } catch (error) {
    // A `test` of the patch met a status that had moved on.
    if (!isStatus(error, 422)) throw error;
    return conflictAnswer(name, 'the server rejected our request due to an error in our request');
  }
  return { status: 202 };
}

function conflictAnswer(name: string, reason: string): Answer {
  return failure(
    409,
    'Conflict',
    name,
    `Operation cannot be fulfilled on virtualmachine.kubevirt.io "${name}": ${reason}`,
  );
}

/** virt-api offers no representation of these by name, so only a wildcard takes what it has: an empty body. */
function accepts(accept: string): boolean {
  return accept === '' || accept.split(',').some((part) => part.trim().split(';')[0] === '*/*');
}

function failure(code: number, reason: string, name: string, message: string): Answer {
  const details = { name, group: 'kubevirt.io', kind: 'virtualmachine' };
  return {
    status: code,
    body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, details, code },
  };
}

/** What virt-api makes of a request, given the VM and the VMI as they are. */
export function decide(verb: Verb, vm: KubeObject, vmi: KubeObject | undefined): Decision {
  const strategy = runStrategyOf(vm);
  const running = vmi !== undefined && !isFinal(vmi) ? vmi : undefined;
  switch (verb) {
    case 'start':
      if (running) return conflict('VM is already running');
      if (strategy === 'Halted') return setStrategy(vm, 'Always');
      if (strategy === 'Always' || strategy === 'Once')
        return conflict(`${strategy} does not support manual start requests`);
      return requestChanges(vm, [{ action: 'Start' }]);
    case 'stop':
      if (!running || (strategy === 'Halted' && vmi?.metadata.deletionTimestamp !== undefined))
        return conflict('VM is not running');
      if (strategy === 'Always' || strategy === 'Once') return setStrategy(vm, 'Halted');
      return requestChanges(vm, [{ action: 'Stop', uid: running.metadata.uid ?? '' }]);
    case 'restart':
      // The misspelling is virt-api's.
      if (strategy === 'Halted' || strategy === 'Once')
        return conflict(`RunStategy ${strategy} does not support manual restart requests`);
      if (!running) return conflict('VM is not running');
      return requestChanges(vm, [{ action: 'Stop', uid: running.metadata.uid ?? '' }, { action: 'Start' }]);
    default:
      return verb satisfies never;
  }
}

function conflict(message: string): Decision {
  return { kind: 'conflict', message };
}

function runStrategyOf(vm: KubeObject): string {
  const spec = fields(vm.spec);
  return text(spec.runStrategy) ?? (spec.running === true ? 'Always' : 'Halted');
}

function isFinal(vmi: KubeObject): boolean {
  const phase = fields(vmi.status).phase;
  return phase === 'Succeeded' || phase === 'Failed';
}

function setStrategy(vm: KubeObject, wanted: 'Always' | 'Halted'): Decision {
  const { runStrategy, running } = fields(vm.spec);
  if (typeof runStrategy !== 'string')
    return {
      kind: 'patch',
      patch: [
        { op: 'test', path: '/spec/running', value: running === true },
        { op: 'replace', path: '/spec/running', value: wanted === 'Always' },
      ],
    };
  return {
    kind: 'patch',
    patch: [
      { op: 'test', path: '/spec/runStrategy', value: runStrategy },
      { op: 'replace', path: '/spec/runStrategy', value: wanted },
    ],
  };
}

/** Asks virt-controller by way of the VM's status. */
function requestChanges(vm: KubeObject, requests: readonly Readonly<Record<string, string>>[]): Decision {
  const path = '/status/stateChangeRequests';
  const value: Json = requests;
  const op = present(fields(vm.status).stateChangeRequests) ? 'replace' : 'add';
  return { kind: 'patch', subresource: 'status', patch: [{ op, path, value }] };
}
