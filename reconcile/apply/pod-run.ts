/**
 * One pod of a run. On the pod path its actions change the networks annotation; on the agent path, where libvirt runs a
 * domain in the pod, those on the domain come after the pod has the interface, and before it loses it.
 */
import { PatchpanelError } from '../errors.ts';
import type { Cluster } from '../kube/cluster.ts';
import { pods } from '../kube/resources.ts';
import { Container } from '../live/container.ts';
import type { PodPlan } from '../plan/model.ts';
import type { DomainTarget, OwnedElement, PlannedElement, PodAction } from '../plan/pod-model.ts';
import { podReversalOf } from '../plan/pod-reversal.ts';
import type { Reversal, Taken } from '../plan/reversal.ts';
import { type Before, stepsToUnwire, stepsToWire, type Wiring, wiringOf } from '../systems/guest-wiring.ts';
import { nicAlias } from '../systems/kubevirt-names.ts';
import type { Layer } from '../vocabulary.ts';
import { attachNic, detachNic, type GuestResult, linkNic, type Patience } from './guest-nic.ts';
import { markHeld } from './hold.ts';
import { protectedMeanwhile, suspendedMeanwhile, takenFromPod } from './left-alone.ts';
import { PodChanger } from './pod-changer.ts';
import { type PodGoal, readPodLayers } from './pod-layers.ts';
import type { SeenPod } from './pod-observer.ts';
import type { Run } from './run.ts';
import type { Verdict } from './verify.ts';
import type { WaitResult } from './wait.ts';
import type { Work, WorkFailure } from './work.ts';

export class PodWork implements Work<PodAction> {
  readonly #plan: PodPlan;
  readonly #run: Run;
  readonly #target: PodPlan['target'];
  readonly #uid: string;
  readonly #taken: Taken<PodAction, SeenPod>[] = [];

  constructor(plan: PodPlan, run: Run) {
    this.#plan = plan;
    this.#run = run;
    this.#target = plan.target;
    this.#uid = plan.uid ?? '';
  }

  async carryOut(action: PodAction): Promise<WorkFailure | undefined> {
    await this.#run.pods.open(this.#target.namespace);
    await this.#refuseKept(action);
    this.#taken.push({ action, before: this.#look() });
    const changer = new PodChanger(this.#run, this.#target, this.#uid, action);
    switch (action.kind) {
      case 'pod-plug':
        return failureIn(await changer.plug(action.element, this.#plan.domain?.name));
      case 'pod-unplug':
        return failureIn(await changer.unplug(action.elements));
      case 'pod-kick':
        return failureIn(await changer.kick(await this.#goals(action.attachments, action.until, changer)));
      case 'pod-repair':
        return failureIn(await changer.repair(action.elements));
      case 'pod-follow':
        return failureIn(await changer.follow(await this.#goals([action.attachment], action.until, changer)));
      case 'pod-release':
        return failureIn(await changer.release(action.attachments));
      case 'domain-attach':
        return await this.#attach(action, changer);
      case 'domain-detach':
        return await this.#detach(action, changer);
      case 'domain-link': {
        const { attachment: name, state } = action;
        return this.#ended(await linkNic(this.#container(), { name, state }, this.#patience(), this.#teller(action)));
      }
      default:
        return action satisfies never;
    }
  }

  /**
   * What the run itself plugged it may take back; what a person protects by now stays in pod and domain.
   * @throws PatchpanelError `cluster/conflict`
   */
  async #refuseKept(action: PodAction): Promise<void> {
    const names = this.#plan.actions.includes(action) ? takenFromPod(action) : [];
    if (names.length === 0) return;
    const { namespace, name } = this.#target;
    const pod = await this.#run.cluster.get(pods, namespace, name);
    const reason = pod === undefined ? undefined : (suspendedMeanwhile(pod) ?? protectedMeanwhile(pod, names));
    if (reason === undefined) return;
    throw new PatchpanelError('cluster/conflict', `pod ${namespace}/${name} changed meanwhile: ${reason}`);
  }

  /** A NIC that the domain does not take is taken out of the pod again, whoever plugged it there: its owner is patchpanel. */
  async #attach(
    action: Extract<PodAction, { kind: 'domain-attach' }>,
    changer: PodChanger,
  ): Promise<WorkFailure | undefined> {
    const { attachment: name, model, mac, state } = action;
    const nic = { name, model, state, ...this.#wiring(action), ...(mac === undefined ? {} : { mac }) };
    const result = await attachNic(this.#container(), nic, this.#patience(), this.#teller(action));
    if (result.kind === 'done' || result.undone !== true) return this.#ended(result);
    const element = await changer.ownedElement(name);
    if (element === undefined) return result;
    const out = await changer.unplug([element]);
    if (out.kind === 'failed')
      return { ...result, reason: `${result.reason}; and taking it out of the pod: ${out.reason}` };
    await changer.release([name]);
    return result;
  }

  /**
   * A NIC of the domain goes only where its interface is on the record, or where this run attached it. A run before this
   * one may have taken all of it out: then the record is gone, too, and there is nothing to do.
   * @throws PatchpanelError `cluster/conflict`
   */
  async #detach(
    action: Extract<PodAction, { kind: 'domain-detach' }>,
    changer: PodChanger,
  ): Promise<WorkFailure | undefined> {
    const { attachment: name, interface: at } = action;
    const isOwn = this.#taken.some(({ action: one }) => one.kind === 'domain-attach' && one.attachment === name);
    if (!isOwn && (await changer.ownedElement(name))?.interface !== at) {
      const left = await this.#domainObjection([{ element: { name, interface: at }, present: false }]);
      if (left === undefined) return this.#ended({ kind: 'done', untouched: true });
      const pod = `${this.#target.namespace}/${this.#target.name}`;
      const message = `pod ${pod} changed meanwhile: "${name}" is not on the record of what patchpanel plugged, and ${left}`;
      throw new PatchpanelError('cluster/conflict', message);
    }
    const nic = { name, ...this.#wiring(action) };
    return this.#ended(await detachNic(this.#container(), nic, this.#patience(), this.#teller(action)));
  }

  /** What was so in the domain before this run is none of what it may take back. */
  #ended(result: GuestResult): WorkFailure | undefined {
    if (result.untouched === true) this.#taken.pop();
    return failureIn(result);
  }

  /** What is to come is as declared; what is to go is as the ownership record has it. */
  async #goals(names: readonly string[], until: 'plugged' | 'gone', changer: PodChanger): Promise<readonly PodGoal[]> {
    const goals: PodGoal[] = [];
    for (const name of names) {
      const element = (until === 'gone' ? await changer.ownedElement(name) : undefined) ?? this.#elementOf(name);
      if (element !== undefined) goals.push({ kind: until === 'plugged' ? 'in' : 'out', element });
    }
    return goals;
  }

  /** By the declaration; of what is no longer declared, by the actions that take it out. */
  #elementOf(name: string): OwnedElement | PlannedElement | undefined {
    const { declared, actions } = this.#plan;
    return (
      declared.find((element) => element.name === name) ??
      actions
        .flatMap((action) => (action.kind === 'pod-unplug' ? action.elements : []))
        .find((element) => element.name === name)
    );
  }

  #wiring(action: { readonly attachment: string; readonly interface: string }): {
    readonly wiring: Wiring;
    readonly before: Before;
  } {
    return {
      wiring: wiringOf(action.interface, this.#uid),
      before: beforeWiring(this.#look(), action.interface, this.#elementOf(action.attachment)),
    };
  }

  #look(): SeenPod {
    const pod = this.#run.pods.look(this.#target);
    if (pod?.uid !== this.#uid) {
      const what = pod === undefined ? 'is no longer there' : 'was made anew';
      throw new PatchpanelError('plan/stale', `pod ${this.#target.namespace}/${this.#target.name} ${what}`);
    }
    return pod;
  }

  #container(domain: DomainTarget | undefined = this.#plan.domain): Container {
    if (domain === undefined) throw new Error('an action on a domain in the plan of a pod without one');
    const { namespace, name } = this.#target;
    const { cluster } = this.#run;
    // A command reaches whatever pod has the name: one that was made anew is none of this plan.
    const exec: Cluster['exec'] = async (...parameters) => {
      this.#look();
      return await cluster.exec(...parameters);
    };
    return new Container({ exec }, { namespace, pod: name, container: domain.container }, domain);
  }

  #patience(): Patience {
    const { pollMs, unplugAgainMs } = this.#run.pace;
    return { deadline: this.#run.deadlineFor(false), pollMs, unplugAgainMs };
  }

  #teller(action: PodAction): (reason: string) => void {
    let told = '';
    return (reason) => {
      if (reason === told) return;
      told = reason;
      this.#run.onEvent({ type: 'waiting', target: this.#target, action, layer: 'domain', reason });
    };
  }

  /** Every attachment that is declared, and not held by a blocker, is in all layers; what was taken out is in none. */
  async verify(last: PodAction): Promise<Verdict> {
    return await this.#verifyEnds(last, finalEnds(this.#plan));
  }

  async #verifyEnds(last: PodAction, ends: readonly FinalEnd[]): Promise<Verdict> {
    const goals = ends.map(({ element, present }): PodGoal => ({ kind: present ? 'in' : 'out', element }));
    const changer = new PodChanger(this.#run, this.#target, this.#uid, last);
    const result = await changer.follow(goals);
    const seen = this.#run.pods.look(this.#target);
    const agreeing: Layer[] =
      seen === undefined
        ? []
        : readPodLayers(goals, seen)
            .filter(({ agrees }) => agrees)
            .map(({ layer }) => layer);
    if (result.kind === 'failed') {
      const { layer, code, reason } = result;
      return { verified: agreeing, failure: { layer, code, reason } };
    }
    if (this.#plan.domain === undefined) return { verified: agreeing };
    const objection = await this.#domainObjection(ends);
    if (objection === undefined) return { verified: [...agreeing, 'domain'] };
    return { verified: agreeing, failure: { layer: 'domain', code: 'apply/timeout', reason: objection } };
  }

  async reversal(): Promise<Reversal<PodAction>> {
    const live = this.#run.pods.look(this.#target);
    if (live?.uid !== this.#uid) return { actions: [], left: [] };
    return podReversalOf(this.#taken, live, this.#run.promised);
  }

  async verifyReversed(back: readonly PodAction[], stuck: ReadonlySet<string>): Promise<Verdict> {
    const last = back.at(-1);
    const ends = back
      .flatMap((action): FinalEnd[] => {
        if (action.kind === 'pod-plug') return [{ element: action.element, present: true }];
        return action.kind === 'pod-unplug' ? action.elements.map((element) => ({ element, present: false })) : [];
      })
      .filter(({ element }) => !stuck.has(element.name));
    return last === undefined ? { verified: [] } : await this.#verifyEnds(last, ends);
  }

  async hold(reason: string): Promise<void> {
    const { cluster, stamp } = this.#run;
    const { uid, input = '' } = this.#plan;
    await markHeld(cluster, pods, this.#target, uid, stamp, { input, reason });
    this.#run.writes += 1;
  }

  async #domainObjection(ends: readonly DomainEnd[]): Promise<string | undefined> {
    const container = this.#container();
    const sight = await container.domain();
    if (sight.kind === 'failed') return sight.message;
    const links = await container.links();
    for (const { element, present } of ends) {
      const { name, interface: at } = element;
      const nic = sight.domain.nics.find(({ alias }) => alias === nicAlias(name));
      const wiring = wiringOf(at, this.#uid);
      if (present) {
        if (nic === undefined) return `the domain XML has no NIC "${name}"`;
        const plan = stepsToWire(wiring, links, true);
        if (plan.kind === 'refused') return plan.reason;
        if (plan.steps.length > 0) return `${wiring.tap} does not lead to ${at}`;
      } else {
        if (nic !== undefined) return `the domain XML still has "${name}"`;
        if (stepsToUnwire(wiring, links, { addresses: [] }).length > 0)
          return `${wiring.bridge} or ${wiring.tap} is left`;
      }
    }
    return undefined;
  }
}

interface FinalEnd {
  readonly element: OwnedElement | PlannedElement;
  readonly present: boolean;
}

interface DomainEnd {
  readonly element: Pick<OwnedElement, 'name' | 'interface'>;
  readonly present: boolean;
}

/** What must be at the end: attachments that a blocker or a note holds are left out, unless they were touched. */
export function finalEnds({
  declared,
  actions,
  blockers,
  notes,
}: Pick<PodPlan, 'declared' | 'actions' | 'blockers' | 'notes'>): readonly FinalEnd[] {
  const held = new Set([...blockers, ...notes].map(({ attachment }) => attachment));
  const present = declared.filter(({ name }) => !held.has(name));
  const gone = actions
    .flatMap((action) => (action.kind === 'pod-unplug' ? action.elements : []))
    .filter((element) => !declared.some((other) => isSamePlace(element, other)));
  return [
    ...present.map((element) => ({ element, present: true })),
    ...gone.map((element) => ({ element, present: false })),
  ];
}

function isSamePlace(one: OwnedElement, other: PlannedElement): boolean {
  return (
    one.interface === other.interface &&
    one.network.name === other.network.name &&
    one.network.namespace === other.network.namespace
  );
}

/** What network-status tells of an interface, whose addresses lack their prefix lengths. */
export function beforeWiring(
  { status }: Pick<SeenPod, 'status'>,
  podInterface: string,
  element: OwnedElement | PlannedElement | undefined,
): Before {
  const entries = 'problem' in status ? [] : status;
  const entry = entries.find((candidate) => candidate.interface === podInterface);
  const declared = element !== undefined && 'ips' in element ? (element.ips ?? []) : [];
  return {
    ...(entry?.mac === undefined ? {} : { mac: entry.mac }),
    addresses: (entry?.ips ?? []).map(
      (ip) => declared.find((each) => each.startsWith(`${ip}/`)) ?? `${ip}/${ip.includes(':') ? 128 : 32}`,
    ),
  };
}

function failureIn(result: WaitResult<SeenPod> | GuestResult): WorkFailure | undefined {
  return result.kind === 'failed' ? result : undefined;
}
