/**
 * A NIC of a domain that libvirt runs inside a pod: bridge and tap, then attach-device; and the same way back. Each round
 * looks first and does what is missing, so that it may begin anywhere and be cut off anywhere. Only the live XML counts:
 * virsh tells of success where there is none.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { nicDeviceXml } from '../../templates/device-xml.ts';
import { PatchpanelError } from '../errors.ts';
import type { Container } from '../live/container.ts';
import {
  type Before,
  originalMac,
  stepsToUnwire,
  stepsToWire,
  type Wiring,
  type WiringPlan,
  type WiringStep,
  wiredMtu,
} from '../systems/guest-wiring.ts';
import { nicAlias } from '../systems/kubevirt-names.ts';
import type { DomainNic, LiveDomain } from '../systems/libvirt-domain.ts';
import { sameMac } from '../systems/mac.ts';
import type { Layer } from '../vocabulary.ts';

export interface GuestNic {
  /** Name of the attachment; the alias is made from it. */
  readonly name: string;
  readonly wiring: Wiring;
  /** As declared. */
  readonly model: string;
  /** Without it the guest gets the one that CNI gave to the pod interface. */
  readonly mac?: string;
  readonly state: 'up' | 'down';
  /** What network-status says of the pod interface. */
  readonly before: Before;
}

export interface Patience {
  /** `performance.now()` at which it is given up. */
  readonly deadline: number;
  readonly pollMs: number;
  /** A guest that has not let go in so long is asked again; sooner, some would take it for a withdrawal. */
  readonly unplugAgainMs: number;
}

export type GuestResult = GuestEnd & {
  /** The domain was so before, or was never asked: none of it is for this run to take back. */
  readonly untouched?: boolean;
};

type GuestEnd =
  | { readonly kind: 'done' }
  | {
      readonly kind: 'failed';
      readonly code: 'apply/timeout' | 'apply/not-attached';
      readonly layer: Layer;
      readonly reason: string;
      /** Nothing of it is left in domain and pod namespace, so that the pod interface may go, too. */
      readonly undone?: boolean;
    };

/** Says what is waited for. */
export type TellReason = (reason: string) => void;

/** How often a step may fail before that is taken for the end: the look before it may have been old. */
const stepAttempts = 3;

/** What one look, and what it led to, came to. */
type Round =
  | { readonly kind: 'end'; readonly result: GuestResult }
  /** Look again: at once after something was done, else after a while. */
  | { readonly kind: 'again'; readonly reason: string; readonly atOnce?: boolean };
type GuestFailure = Extract<GuestEnd, { kind: 'failed' }>;

/** Looks again and again, until a round is the end of it or the time is up. */
async function rounds(
  round: () => Promise<Round>,
  tooLate: (last: string) => Promise<GuestResult>,
  patience: Patience,
  tell: TellReason,
): Promise<GuestResult> {
  for (;;) {
    const end = await round();
    if (end.kind === 'end') return end.result;
    if (performance.now() + patience.pollMs > patience.deadline) return await tooLate(end.reason);
    if (end.atOnce === true) continue;
    tell(end.reason);
    await sleep(patience.pollMs);
  }
}

/**
 * Attaches the NIC and proves it; where that fails for good, takes back what is there of it.
 * @throws PatchpanelError where the container can't be reached: then nothing is known, and nothing taken back
 */
export async function attachNic(
  container: Container,
  nic: GuestNic,
  patience: Patience,
  tell: TellReason,
): Promise<GuestResult> {
  let failedSteps = 0;
  let wasThere: boolean | undefined;
  async function round(): Promise<Round> {
    const sight = await container.domain();
    if (sight.kind === 'failed') {
      if (sight.retryable) return { kind: 'again', reason: sight.message };
      return end(await undo(container, nic, refusal(sight.message)));
    }
    wasThere ??= nicOf(sight.domain, nic.name) !== undefined;
    const objection = objectionOf(sight.domain, nic);
    if (objection !== undefined) return end(await undo(container, nic, refusal(objection), true));
    const links = await container.links();
    const present = nicOf(sight.domain, nic.name);
    const mac = nic.mac ?? originalMac(nic.wiring, links, nic.before);
    const difference = present === undefined ? undefined : nicObjection(present, nic, mac);
    if (difference !== undefined) return end(refusal(difference));
    const plan = stepsToWire(nic.wiring, links, present !== undefined);
    if (plan.kind === 'refused') return end(await undoRefused(container, nic, plan));
    const fault = await takeSteps(container, plan.steps);
    if (fault !== undefined) {
      failedSteps += 1;
      return failedSteps < stepAttempts
        ? { kind: 'again', reason: fault }
        : end(await undo(container, nic, refusal(fault)));
    }
    if (present !== undefined) return end({ kind: 'done' });
    return await attach(container, nic, mac, wiredMtu(nic.wiring, links));
  }
  const result = await rounds(
    round,
    (last) => undo(container, nic, failed('apply/timeout', 'domain', last)),
    patience,
    tell,
  );
  await container.tidy(nic.wiring.tap);
  return told(result, wasThere === true);
}

/** The last of it, once bridge and tap are there. */
async function attach(
  container: Container,
  nic: GuestNic,
  mac: string | undefined,
  mtu: number | undefined,
): Promise<Round> {
  if (mac === undefined)
    return end(await undo(container, nic, refusal(`the MAC that ${nic.wiring.podInterface} had is not known`)));
  const failure = await container.attach(deviceOf(nic, mac, mtu), nic.wiring.tap);
  // Whether it is there, the next look tells.
  if (failure === undefined) return { kind: 'again', reason: 'the live XML does not show it', atOnce: true };
  if (failure.retryable) return { kind: 'again', reason: failure.message };
  return end(await undo(container, nic, refusal(failure.message), failure.failure === 'tap-busy'));
}

/** Another NIC on our tap; undefined where there is none. */
function objectionOf({ nics }: LiveDomain, { name, wiring }: GuestNic): string | undefined {
  const other = nics.find(({ alias, target }) => target === wiring.tap && alias !== nicAlias(name));
  return other === undefined ? undefined : `${wiring.tap} belongs to the NIC ${other.alias ?? other.mac ?? ''}`;
}

async function undoRefused(
  container: Container,
  nic: GuestNic,
  { why, reason }: Extract<WiringPlan, { kind: 'refused' }>,
): Promise<GuestResult> {
  // network-status speaks of an interface that is not there.
  const layer = why === 'missing' ? 'multus' : 'domain';
  return await undo(container, nic, failed('apply/not-attached', layer, reason), why === 'busy');
}

function deviceOf(nic: GuestNic, mac: string, mtu: number | undefined): string {
  const { name, wiring, model, state } = nic;
  return nicDeviceXml({
    name,
    mac,
    tap: wiring.tap,
    state,
    // What KubeVirt makes of virtio is the default of the device.
    ...(model === 'virtio' ? {} : { model }),
    ...(mtu === undefined ? {} : { mtu }),
  });
}

/** In what a NIC of our alias differs from ours; undefined where it is ours. */
function nicObjection(found: DomainNic, nic: GuestNic, mac: string | undefined): string | undefined {
  const { name, wiring, state } = nic;
  if (found.target !== wiring.tap) return `"${name}" hangs on ${found.target ?? 'no tap'}, not on ${wiring.tap}`;
  if (found.mac !== undefined && mac !== undefined && !sameMac(found.mac, mac))
    return `"${name}" has the MAC ${found.mac} in the domain, not ${mac}`;
  if (found.linkState !== state) return `the link of "${name}" is ${found.linkState} in the domain`;
  return undefined;
}

/**
 * Takes back what is there of a NIC that was refused. Its own wiring goes whoever made it, this run or one that was
 * killed; where the domain has the NIC after all, or can't be asked, all stays for the next run.
 */
async function undo(container: Container, nic: GuestNic, failure: GuestFailure, keepTap = false): Promise<GuestResult> {
  try {
    const sight = await container.domain();
    const known = sight.kind === 'seen' || sight.failure === 'no-domain';
    const isAttached = sight.kind === 'seen' && nicOf(sight.domain, nic.name) !== undefined;
    if (!known || isAttached) return failure;
    const reason = await unwire(container, nic, keepTap);
    return reason === undefined
      ? { ...failure, undone: true }
      : { ...failure, reason: `${failure.reason}; and what was made for it could not be taken back: ${reason}` };
  } catch (error) {
    if (!(error instanceof PatchpanelError)) throw error;
    return {
      ...failure,
      reason: `${failure.reason}; and what was made for it could not be taken back: ${error.message}`,
    };
  }
}

/**
 * Detaches the NIC, then takes tap and bridge away and gives the pod interface back what it had.
 * @throws PatchpanelError where the container can't be reached
 */
export async function detachNic(
  container: Container,
  nic: Pick<GuestNic, 'name' | 'wiring' | 'before'>,
  patience: Patience,
  tell: TellReason,
): Promise<GuestResult> {
  let requests = 0;
  let askAt = 0;
  let said = `the guest has not let "${nic.name}" go`;
  async function round(): Promise<Round> {
    const sight = await container.domain();
    if (sight.kind === 'failed' && sight.failure !== 'no-domain')
      return sight.retryable ? { kind: 'again', reason: sight.message } : end(refusal(sight.message));
    if (sight.kind === 'failed' || nicOf(sight.domain, nic.name) === undefined) {
      const isOfOther = sight.kind === 'seen' && sight.domain.nics.some(({ target }) => target === nic.wiring.tap);
      const fault = await unwire(container, nic, isOfOther);
      await container.tidy(nic.wiring.tap);
      return end(fault === undefined ? { kind: 'done' } : refusal(fault));
    }
    if (performance.now() < askAt) return { kind: 'again', reason: said };
    const failure = await container.detach(nicAlias(nic.name));
    requests += 1;
    if (failure !== undefined && !failure.retryable) return end(refusal(failure.message));
    if (failure !== undefined) said = failure.message;
    // A request that the guest was too busy for may be repeated soon.
    askAt = performance.now() + (failure?.failure === 'guest-busy' ? 4 * patience.pollMs : patience.unplugAgainMs);
    return { kind: 'again', reason: said };
  }
  const tooLate = async (last: string): Promise<GuestResult> =>
    failed('apply/timeout', 'domain', `${last}, after ${requests} ${requests === 1 ? 'request' : 'requests'}`);
  return told(await rounds(round, tooLate, patience, tell), requests === 0);
}

/**
 * Sets the link state of a NIC that the domain has.
 * @throws PatchpanelError where the container can't be reached
 */
export async function linkNic(
  container: Container,
  { name, state }: Pick<GuestNic, 'name' | 'state'>,
  patience: Patience,
  tell: TellReason,
): Promise<GuestResult> {
  let isAsked = false;
  async function round(): Promise<Round> {
    const sight = await container.domain();
    if (sight.kind === 'failed')
      return sight.retryable ? { kind: 'again', reason: sight.message } : end(refusal(sight.message));
    const nic = nicOf(sight.domain, name);
    if (nic?.target === undefined) return end(refusal(`the domain has no NIC "${name}" with a tap`));
    if (nic.linkState === state) return end({ kind: 'done' });
    isAsked = true;
    const failure = await container.setLink(nic.target, state);
    if (failure !== undefined && !failure.retryable) return end(refusal(failure.message));
    return { kind: 'again', reason: failure?.message ?? `the link of "${name}" is ${nic.linkState}` };
  }
  const tooLate = async (last: string): Promise<GuestResult> => failed('apply/timeout', 'domain', last);
  return told(await rounds(round, tooLate, patience, tell), !isAsked);
}

function nicOf({ nics }: LiveDomain, name: string): DomainNic | undefined {
  return nics.find(({ alias }) => alias === nicAlias(name));
}

async function takeSteps(container: Container, steps: readonly WiringStep[]): Promise<string | undefined> {
  for (const step of steps) {
    const fault = await container.step(step);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** Undefined where nothing of the wiring is left; else why. */
async function unwire(
  container: Container,
  { wiring, before }: Pick<GuestNic, 'wiring' | 'before'>,
  keepTap: boolean,
): Promise<string | undefined> {
  let fault: string | undefined;
  for (let attempt = 0; attempt < stepAttempts; attempt += 1) {
    const steps = stepsToUnwire(wiring, await container.links(), before, keepTap);
    fault = await takeSteps(container, steps);
    if (fault === undefined) return undefined;
  }
  return fault;
}

function told(result: GuestResult, untouched: boolean): GuestResult {
  return untouched ? { ...result, untouched } : result;
}

function end(result: GuestResult): Round {
  return { kind: 'end', result };
}

function refusal(reason: string): GuestFailure {
  return failed('apply/not-attached', 'domain', reason);
}

function failed(code: GuestFailure['code'], layer: Layer, reason: string): GuestFailure {
  return { kind: 'failed', code, layer, reason };
}
