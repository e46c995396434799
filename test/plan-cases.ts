/** Plans of small fleets, put in short, for the tables of planning rules. */
import assert from 'node:assert/strict';
import type { DesiredTarget, RestartPolicy } from '../reconcile/desired/model.ts';
import { diffState } from '../reconcile/diff/diff.ts';
import type { LivePod, LiveVm, LiveVmi } from '../reconcile/live/model.ts';
import { type Action, isPodPlan, type Plan, type VmPlan } from '../reconcile/plan/model.ts';
import { makePlan } from '../reconcile/plan/plan.ts';
import { declared, desiredState, type LiveOptions, liveState, type NicOptions, specNic } from './vm-builder.ts';

export const blue: NicOptions = { name: 'blue' };
export const red: NicOptions = { name: 'red' };
export const green: NicOptions = { name: 'green' };
export const fast: NicOptions = { name: 'fast', binding: 'sriov' };

/** The windows that go with `restart: 'allowed'`. */
export const nights = [{ start: '0 2 * * *', duration: '1h', timeZone: 'UTC' }] as const;

export interface PlanCase extends LiveOptions {
  readonly restart?: RestartPolicy;
}

export function planOf(targets: readonly DesiredTarget[], vms: readonly LiveVm[], options: PlanCase = {}): VmsPlan {
  const restart = options.restart ?? 'never';
  const desired = desiredState(targets, {
    restart,
    ...(restart === 'allowed' ? { restartWindows: [{ from: 'repository', overridable: false, windows: nights }] } : {}),
  });
  const also = targets.flatMap((target) => target.attachments.map((attachment) => attachment.network.name));
  const live = liveState(vms, { also, ...options });
  return ofVms(makePlan(diffState(desired, live), desired, live));
}

/** A plan in which every target is a VM. */
export type VmsPlan = Omit<Plan, 'targets'> & { readonly targets: readonly VmPlan[] };

export function ofVms(plan: Plan): VmsPlan {
  const targets = plan.targets.map((target) => {
    assert.ok(!isPodPlan(target), `${target.target.name} is a VM`);
    return target;
  });
  return { ...plan, targets };
}

/** The plan of one VM, `db-0`. */
export function planVm(nics: readonly NicOptions[], vm: LiveVm | undefined, options: PlanCase = {}): VmPlan {
  const plan = planOf([declared(nics)], vm === undefined ? [] : [vm], options);
  const [target] = plan.targets;
  assert.ok(target, 'the VM is in the plan');
  return target;
}

/** Actions in short, such as `plug blue`, in order. */
export function steps(target: VmPlan): readonly string[] {
  return target.actions.map(brief);
}

export function brief(action: Action): string {
  switch (action.kind) {
    case 'plug':
      return `plug ${action.attachments.map(({ name }) => name).join('+')} ${action.delivery}`;
    case 'unplug':
      return `unplug ${action.attachments.join('+')} ${action.delivery}`;
    case 'link':
      return `link ${action.attachment} ${action.state}`;
    case 'swap':
      return `swap ${action.attachment} ${action.from.name}>${action.to.name}`;
    case 'follow':
      return `follow ${action.attachment} ${action.until}`;
    case 'edit-template': {
      const put = action.put.map(({ name }) => `+${name}`);
      const remove = action.remove.map((name) => `-${name}`);
      return `edit ${[...put, ...remove].join(' ')}${action.staged ? ' staged' : ''}`;
    }
    case 'set-ports':
      return `set-ports ${action.knob} ${action.value}${action.staged ? ' staged' : ''}`;
    case 'restart':
      return `restart${action.ports === undefined ? '' : ` ${action.ports}`}`;
    case 'release':
      return `release ${action.attachments.join('+')}`;
    default:
      return action satisfies never;
  }
}

export function codes(target: VmPlan): readonly string[] {
  return target.blockers.map(({ code, attachment }) => (attachment === undefined ? code : `${code} ${attachment}`));
}

export function withVmi(vm: LiveVm, change: Partial<LiveVmi>): LiveVm {
  assert.ok(vm.vmi);
  return { ...vm, vmi: { ...vm.vmi, ...change } };
}

export function withPod(vm: LiveVm, change: Partial<LivePod>): LiveVm {
  assert.ok(vm.pod);
  return { ...vm, pod: { ...vm.pod, ...change } };
}

/** The VM with another template, everything further in as it was. */
export function templated(vm: LiveVm, nics: readonly NicOptions[]): LiveVm {
  return { ...vm, nics: [...vm.nics.filter((nic) => nic.isDefault), ...nics.map(specNic)] };
}

export const paused = { conditions: [{ type: 'Paused', status: 'True' }] };
export const own = (...owned: string[]) => ({ owned });

export interface Row {
  readonly what: string;
  readonly wanted: readonly NicOptions[];
  readonly vm: LiveVm | undefined;
  readonly options?: PlanCase;
  readonly actions?: readonly string[];
  readonly blockers?: readonly string[];
}

export function checkRows(rows: readonly Row[]): void {
  for (const { what, wanted, vm, options, actions = [], blockers = [] } of rows) {
    const target = planVm(wanted, vm, options);
    assert.deepEqual(steps(target), actions, what);
    assert.deepEqual(codes(target), blockers, what);
    for (const { message, remedy } of target.blockers) {
      assert.notEqual(message, '', what);
      assert.match(remedy, /\.$|acknowledged$/, `${what}: a remedy is a sentence`);
    }
  }
}
