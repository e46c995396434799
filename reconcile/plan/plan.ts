/** Differences to ordered actions, and what blocks them. Pure: equal inputs give an equal plan. */
import type { DesiredState, DesiredTarget, RestartPolicy, Settings } from '../desired/model.ts';
import type { TargetDiff } from '../diff/model.ts';
import { pruneVerdict } from '../diff/prune.ts';
import type { LiveState } from '../live/model.ts';
import { compareText, objectKey } from '../vocabulary.ts';
import type { TimeWindow } from '../windows/windows.ts';
import { attachmentOutcome, planned, wantsWrite } from './attachments.ts';
import { runStateOf, vmBlockers } from './eligibility.ts';
import { type ReadScope, readFields } from './fingerprint.ts';
import { heldBlocker, inputDigest, isLeftOver } from './held.ts';
import { type MacHolders, type MacRuling, macHolders, ruleOnMacs, takesMac, withPods } from './macs.ts';
import {
  type Action,
  type Blocker,
  isPodPlan,
  type Note,
  type Plan,
  type PlanPortCount,
  type PlanRemovals,
  type PlanUndeclared,
  type PodPlan,
  planVersion,
  type TargetPlan,
  type VmPlan,
} from './model.ts';
import { notOwnedNote, unmanagedNames, vmNotes } from './notes.ts';
import { orderActions, type SetPorts } from './order.ts';
import { planPods } from './pod-plans.ts';
import { portCountOutcome } from './port-count.ts';
import { planPorts, portShortage } from './ports.ts';
import { exceeds, ownedNics, removalBlockers, removedIn, targetKeyOf } from './removals.ts';
import { renamesOf, whereabouts } from './renames.ts';
import { type Restart, restartOf, wantsRestart } from './restart.ts';
import { blocker, merge, type Step, type VmContext } from './steps.ts';
import { summaryOf } from './summary.ts';
import { isSuspended, suspensions } from './suspended.ts';
import { type Labels, withWaves } from './waves.ts';

/** What a run may lay down over the settings of the repository. */
export interface PlanOptions {
  readonly restart?: RestartPolicy;
  readonly maxInFlight?: number;
}

/** One VM on its way to its plan. */
interface Draft {
  readonly diff: TargetDiff;
  readonly key: string;
  /** Undefined where the cluster has no such VM. */
  readonly context?: VmContext;
  readonly steps: readonly Step[];
  /** Steps before a shortage of ports struck them out, for the port strip. */
  readonly wantedSteps: readonly Step[];
  readonly setPorts?: SetPorts;
  readonly restart?: Restart;
  /** A restart was thought of, whatever came of it. */
  readonly restarts: boolean;
  readonly liftsHold?: boolean;
  readonly portCount?: PlanPortCount;
  readonly blockers: readonly Blocker[];
  readonly notes: readonly Note[];
}

/**
 * Makes the plan. Each VM is judged on its own first; then the addresses that move from one VM to another settle who
 * waits for whom. A VM that is blocked blocks no other, but for an address that it keeps.
 */
export function makePlan(
  diffs: readonly TargetDiff[],
  desired: DesiredState,
  live: LiveState,
  options: PlanOptions = {},
): Plan {
  const settings: Settings = {
    ...desired.settings,
    ...(options.restart === undefined ? {} : { restart: options.restart }),
    ...(options.maxInFlight === undefined ? {} : { maxInFlight: options.maxInFlight }),
  };
  const holders = macHolders(live);
  const forbidden = new Map([...renamesOf(diffs, live), ...suspensions(diffs, { ...desired, settings }, live)]);
  const within = (kept: Forbidden): Planned =>
    planTargets(diffs, { desired, live, settings, holders, forbidden: kept });
  const unlimited = within(forbidden);
  const removals = removalsOf(unlimited, diffs, live);
  const { maxRemovals } = settings;
  const { targets, pods } =
    maxRemovals !== undefined && exceeds(removals, maxRemovals)
      ? within(
          new Map([...forbidden, ...removalBlockers([...unlimited.targets, ...unlimited.pods], removals, maxRemovals)]),
        )
      : unlimited;
  const listed: readonly TargetPlan[] = [
    ...targets.filter(isWorthListing).map(({ draft, ...target }) => ({
      ...target,
      ...(target.actions.length === 0 ? {} : { input: inputDigest(draft.diff.desired, live.networks) }),
      read: readFields(target.target, live, scopeOf(draft, target.ports?.basis === 'forecast'), holders),
    })),
    ...pods.filter(isWorthListing),
  ];
  const { server, delivery, deliveryEvidence, kubevirtVersion } = live.cluster;
  return {
    version: planVersion,
    source: desired.source,
    cluster: { server, delivery, deliveryEvidence, ...(kubevirtVersion === undefined ? {} : { kubevirtVersion }) },
    settings,
    ...(desired.policy === undefined ? {} : { policy: desired.policy }),
    targets: withWaves(listed, settings.waves, labelsFrom(live)),
    ...(removals.planned === 0 ? {} : { removals }),
    ...leftAlone(desired, live),
    summary: summaryOf(targets, desired.pods === undefined ? undefined : pods),
  };
}

/** What VMs and pods as a whole are kept from, by `targetKeyOf`. */
type Forbidden = ReadonlyMap<string, readonly Blocker[]>;

interface Planned {
  readonly targets: readonly Finished[];
  readonly pods: readonly PodPlan[];
}

interface Surroundings {
  readonly desired: DesiredState;
  readonly live: LiveState;
  readonly settings: Settings;
  readonly holders: MacHolders;
  readonly forbidden: Forbidden;
}

function planTargets(diffs: readonly TargetDiff[], around: Surroundings): Planned {
  const { desired, live, holders, forbidden } = around;
  const drafts = diffs.map((diff) => draftOf(diff, around)).sort(byKey);
  const ruling = ruleOnMacs(
    drafts.map(({ key, steps }) => ({ vm: key, steps })),
    withPods(holders, live),
  );
  const targets = linkActions(
    drafts.map((draft) => finish(draft, ruling)),
    ruling,
  );
  return { targets, pods: planPods(desired, live, forbidden) };
}

function removalsOf({ targets, pods }: Planned, diffs: readonly TargetDiff[], live: LiveState): PlanRemovals {
  return { planned: removedIn([...targets, ...pods]), owned: ownedNics(diffs, live) };
}

/** VMs without an object that the plan does not touch; those of other repositories are none of its business. */
function leftAlone(desired: DesiredState, live: LiveState): Pick<Plan, 'undeclared'> {
  const left = (live.undeclared ?? []).flatMap(({ namespace, name, owned, source }): PlanUndeclared[] => {
    const why = pruneVerdict({ namespace, ...(source === undefined ? {} : { source }) }, desired);
    if (why === 'prune' || why === 'another' || owned.length === 0) return [];
    return [{ namespace, name, owned, ...(source === undefined ? {} : { source }), why }];
  });
  return left.length === 0 ? {} : { undeclared: left };
}

function draftOf(diff: TargetDiff, { desired, live, settings, forbidden }: Surroundings): Draft {
  const { target } = diff.desired;
  const key = objectKey(target);
  const vm = diff.live;
  if (vm === undefined) {
    const message = `the cluster has no VirtualMachine ${key}${whereabouts(diff, live)}`;
    const what = live.namesakes?.has(key) === true ? 'namespace' : 'name';
    const remedy = `Create the VM, or correct the ${what} in the repository, or remove the object.`;
    const blockers = [blocker('vm-not-found', undefined, message, remedy)];
    return { diff, key, steps: [], wantedSteps: [], restarts: false, blockers, notes: [] };
  }
  const runState = runStateOf(vm);
  const { cluster, networks } = live;
  const { restart } = settings;
  const context: VmContext = {
    diff,
    vm,
    runState,
    cluster,
    networks,
    source: desired.source,
    restart,
    restartWindows: windowsOf(diff, settings),
  };
  const outcome = merge(diff.attachments.map((attachment) => attachmentOutcome(context, attachment)));
  // What a shortage of ports will strike out changes nothing of the next start.
  const count = portCountOutcome(context, portShortage(context, outcome.steps) === undefined ? outcome.steps : []);
  const restarts = wantsRestart(context, outcome.steps, outcome.notes, count);
  const suspended = isSuspended(forbidden.get(targetKeyOf(target)));
  const writes =
    restarts ||
    count?.write !== undefined ||
    outcome.steps.some((step) => !isFree(step, outcome.steps, suspended)) ||
    diff.attachments.some(wantsWrite);
  const onVm = writes
    ? [...vmBlockers(context), ...(forbidden.get(targetKeyOf(target)) ?? [])]
    : heldFollows(context, outcome.steps);
  const eligible =
    onVm.length === 0 ? outcome.steps : outcome.steps.filter((step) => isFree(step, outcome.steps, suspended));
  const shortage = portShortage(context, eligible);
  // Where the VM as a whole is blocked, its number of ports is not touched either, and the blocker speaks for it.
  const ports = count?.write !== undefined && onVm.length > 0 ? undefined : count;
  const steps = shortage === undefined ? eligible : [];
  // What a shortage struck out brings no restart either.
  const isDue = restarts && onVm.length === 0 && wantsRestart(context, steps, outcome.notes, count);
  const again = isDue ? restartOf(context, steps) : [];
  const refusals = 'instance' in again ? [] : again;
  const blockers = [
    ...onVm,
    ...(shortage ? [shortage] : []),
    ...(ports?.blockers ?? []),
    ...refusals,
    ...outcome.blockers,
  ];
  // Nothing is staged of what is not written.
  const notes = outcome.notes.filter(
    ({ code }) => code !== 'staged' || steps.some((step) => 'staged' in step && step.staged),
  );
  return {
    diff,
    key,
    context,
    steps,
    wantedSteps: eligible,
    ...(ports?.write === undefined ? {} : { setPorts: ports.write }),
    ...('instance' in again ? { restart: again } : {}),
    restarts,
    liftsHold: blockers.length === 0 && isLeftOver(context),
    ...(ports === undefined ? {} : { portCount: ports.portCount }),
    blockers,
    notes: [...notes, ...(ports?.notes ?? [])],
  };
}

/** Labels of VMs and pods, for the waves. */
function labelsFrom(live: LiveState): (target: TargetPlan) => Labels {
  const pods = new Map([...(live.pods?.byQuery.values() ?? [])].flat().map((pod) => [pod.uid, pod]));
  return (plan) => (isPodPlan(plan) ? pods.get(plan.uid ?? '') : live.vms.get(objectKey(plan.target)))?.labels ?? {};
}

/** A change that is held is not waited for either. */
function heldFollows(context: VmContext, steps: readonly Step[]): readonly Blocker[] {
  const held = steps.some(({ kind }) => kind === 'follow') ? heldBlocker(context) : undefined;
  return held === undefined ? [] : [held];
}

/** Both must allow a restart: the settings, and the object of the VM. */
function windowsOf({ desired }: TargetDiff, { restart, restartWindows = [] }: Settings): readonly TimeWindow[] {
  if (restart !== 'allowed' || desired.mayRestart !== true) return [];
  // What the policy adds is looked at when the plan is carried out.
  return restartWindows.filter(({ from }) => from === 'repository').flatMap(({ windows }) => windows);
}

/**
 * Whether the step is open to a VM that is blocked: following what is in flight writes nothing, and the record of what
 * patchpanel owns is its own, save on one that is suspended. A NIC that is yet to be unplugged keeps its record.
 */
function isFree(step: Step, all: readonly Step[], suspended: boolean): boolean {
  if (step.kind === 'follow') return true;
  if (suspended) return false;
  return step.kind === 'release' && !all.some(({ kind, name }) => kind === 'unplug' && name === step.name);
}

/** A plan of one VM before it is known whether the VM is worth listing. */
type Finished = Omit<VmPlan, 'read'> & { readonly draft: Draft };

function finish(draft: Draft, ruling: MacRuling): Finished {
  const { diff, key, context } = draft;
  const { target, position } = diff.desired;
  const refusals = ruling.refusals.get(key) ?? [];
  const refused = new Set(refusals.map(({ attachment }) => attachment));
  const keep = (step: Step) => !(takesMac(step) && refused.has(step.name));
  const steps = draft.steps.filter(keep);
  const waiting = new Set(steps.map(({ name }) => name).filter((name) => ruling.waiting.has(`${key}/${name}`)));
  // What an address refuses may be all that the restart was for.
  const restart = refused.size === 0 ? draft.restart : undefined;
  const ordered = orderActions(target, steps, waiting, draft.setPorts, restart);
  const actions: readonly Action[] =
    ordered.length === 0 && draft.liftsHold === true
      ? [{ kind: 'release', attachments: [], id: `${key}/1`, after: [] }]
      : ordered;
  const wanted = draft.wantedSteps.filter(keep);
  // A shortage of ports strikes the steps out; the strip still shows what they would take.
  const struck = steps.length < wanted.length;
  const ports = context && planPorts(context, wanted, struck ? orderActions(target, wanted, waiting) : actions);
  const forecast = ports?.ports.basis === 'forecast';
  const notes = context === undefined ? [] : [...draft.notes, ...vmNotes(context, forecast)];
  return {
    target: { kind: target.kind, namespace: target.namespace, name: target.name },
    ...(context === undefined ? {} : { uid: context.vm.uid }),
    ...(diff.desired.pruned === true
      ? { pruned: true }
      : { position: { file: position.file, line: position.line, column: position.column } }),
    runState: runStateOf(context?.vm),
    differences: diff.attachments.flatMap(({ differences }) => differences),
    actions: struck ? actions : (ports?.actions ?? actions),
    blockers: [...draft.blockers, ...refusals].map((each) => placed(each, diff.desired)),
    notes,
    ...(ports === undefined ? {} : { ports: ports.ports }),
    ...(draft.portCount === undefined ? {} : { portCount: draft.portCount }),
    declared: diff.desired.attachments.map(planned),
    unmanaged: context === undefined ? [] : unmanagedNames(context),
    draft,
  };
}

/** A blocker of an attachment with the place where that is declared. */
function placed({ code, attachment, ...words }: Blocker, { attachments }: DesiredTarget): Blocker {
  if (attachment === undefined) return { code, ...words };
  const found = attachments.find(({ name }) => name === attachment)?.position;
  if (found === undefined) return { code, attachment, ...words };
  const { file, line, column } = found;
  return { code, attachment, position: { file, line, column }, ...words };
}

function scopeOf({ diff, context, restarts }: Draft, forecast: boolean): ReadScope {
  const declared = diff.attachments.flatMap(({ wanted }) => (wanted === undefined ? [] : [wanted]));
  // An owned NIC needs its network until it is gone.
  const leaving = diff.attachments.filter(
    ({ state }) => state === 'surplus' || state === 'leaving' || state === 'differs',
  );
  const current = (context?.vm.nics ?? []).filter(({ name }) => leaving.some((item) => item.name === name));
  const networks = [...declared, ...current].flatMap(({ network }) =>
    network === undefined ? [] : [objectKey(network)],
  );
  return {
    networks: [...new Set(networks)].sort(),
    macs: [...new Set(declared.flatMap(({ mac }) => (mac === undefined ? [] : [mac])))].sort(),
    domain: context?.vm.domain.kind === 'read',
    hardware: forecast || diff.desired.pciePorts !== undefined,
    portKnobs: diff.desired.pciePorts !== undefined,
    restart: restarts,
  };
}

/** Lets each plug wait for the action that takes its address from another VM. */
function linkActions(targets: readonly Finished[], ruling: MacRuling): readonly Finished[] {
  const byVm = new Map(targets.map((item) => [objectKey(item.target), item.actions]));
  return targets.map((item) => {
    const key = objectKey(item.target);
    const mine = ruling.dependencies.filter(({ vm, on }) => vm === key && on.vm !== vm);
    if (mine.length === 0) return item;
    const actions = item.actions.map((action): Action => {
      const after = mine
        .filter(({ name }) => gives(action, name))
        .flatMap(({ on }) => (byVm.get(on.vm) ?? []).filter((other) => takes(other, on.nic)).map(({ id }) => id));
      return after.length === 0 ? action : { ...action, after: [...new Set(after)].sort() };
    });
    return { ...item, actions };
  });
}

function gives(action: Action, name: string): boolean {
  if (action.kind === 'plug') return action.attachments.some((attachment) => attachment.name === name);
  return action.kind === 'edit-template' && action.put.some((attachment) => attachment.name === name);
}

function takes(action: Action, name: string): boolean {
  switch (action.kind) {
    case 'unplug':
      return action.attachments.includes(name);
    case 'follow':
      return action.until === 'gone' && action.attachment === name;
    case 'edit-template':
      return !action.staged && (action.remove.includes(name) || action.put.some((item) => item.name === name));
    case 'plug':
    case 'link':
    case 'swap':
    case 'set-ports':
    case 'restart':
    case 'release':
      return false;
    default:
      return action satisfies never;
  }
}

/** A VM that is as declared is only counted; what the guest agent alone has yet to tell is no difference. */
function isWorthListing({
  differences,
  actions,
  blockers,
  notes,
}: Pick<TargetPlan, 'differences' | 'actions' | 'blockers' | 'notes'>): boolean {
  return (
    differences.some(({ layer }) => layer !== 'guest') ||
    actions.length > 0 ||
    blockers.length > 0 ||
    notes.some(({ code }) => code !== notOwnedNote)
  );
}

function byKey(a: Draft, b: Draft): number {
  const one = a.diff.desired.target;
  const other = b.diff.desired.target;
  return compareText(one.namespace, other.namespace) || compareText(one.name, other.name);
}
