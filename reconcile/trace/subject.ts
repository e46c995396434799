/** What of a VM is traced, and what each NIC is held against: its declaration, else the template of the VM. Pure. */
import type { DesiredAttachment, DesiredTarget } from '../desired/model.ts';
import { activeVmi } from '../diff/layers.ts';
import type { Position } from '../errors.ts';
import type { LiveVm, SpecNic } from '../live/model.ts';
import { nicModels } from '../vocabulary.ts';
import type { NicRole } from './model.ts';

export interface Subject {
  readonly desired: DesiredTarget;
  /** As read, with what is on its way out counted as owned: so it is followed too. */
  readonly live: LiveVm;
  readonly roles: ReadonlyMap<string, NicRole>;
}

const nowhere: Position = { file: '', line: 1, column: 1 };

/** @param declared the object of the VM; undefined where no desired state was given, or it has none */
export function subjectOf(live: LiveVm, declared: DesiredTarget | undefined, hasSource: boolean): Subject {
  const attachments = [...(declared?.attachments ?? [])];
  const roles = new Map<string, NicRole>(attachments.map(({ name }) => [name, 'declared']));
  const found: NicRole = hasSource ? 'unmanaged' : 'present';
  for (const nic of live.nics) {
    if (roles.has(nic.name) || nic.state === 'absent') continue;
    const role = roleOf(nic, live, declared, found);
    roles.set(nic.name, role);
    const wanted = role === found ? wantedAsIs(nic) : undefined;
    if (wanted !== undefined) attachments.push(wanted);
  }
  const leaving = leavingNames(live).filter((name) => !roles.has(name));
  for (const name of leaving) roles.set(name, live.owned.includes(name) ? 'owned' : found);
  const { namespace, name } = live;
  const position = declared?.position ?? nowhere;
  return {
    desired: { ...declared, target: { kind: 'VirtualMachine', namespace, name }, attachments, position },
    live: { ...live, owned: [...new Set([...live.owned, ...leaving])] },
    roles,
  };
}

function roleOf(nic: SpecNic, live: LiveVm, declared: DesiredTarget | undefined, found: NicRole): NicRole {
  if (nic.isDefault) return 'default';
  if (declared !== undefined && live.owned.includes(nic.name)) return 'owned';
  return wantedAsIs(nic) === undefined ? 'foreign' : found;
}

/** On their way out; and those struck from the template, which unplugs nothing: the instance has them until it restarts. */
function leavingNames(live: LiveVm): readonly string[] {
  const known = new Set(live.nics.map(({ name }) => name));
  const struck = (activeVmi(live)?.nics ?? []).filter(({ name, isDefault }) => !isDefault && !known.has(name));
  return [...live.nics.filter(({ state }) => state === 'absent'), ...struck].map(({ name }) => name);
}

/** A NIC as its template has it; undefined for one of a kind that is not declared. */
function wantedAsIs({ name, binding, network, mac, model, state }: SpecNic): DesiredAttachment | undefined {
  if (network === undefined || state === 'absent' || (binding !== 'bridge' && binding !== 'sriov')) return undefined;
  const known = binding === 'bridge' ? nicModels.find((each) => each === model) : undefined;
  return {
    name,
    network,
    ...(mac === undefined ? {} : { mac }),
    binding,
    ...(known === undefined ? {} : { model: known }),
    state,
    position: nowhere,
  };
}
