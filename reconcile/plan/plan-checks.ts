/** What a plan file must hold to beyond its shape. */
import { PatchpanelError } from '../errors.ts';
import { digestOf } from './canonical-json.ts';
import type { Plan, PlanAction, TargetPlan } from './model.ts';

/**
 * Digests that fit, ids that are there, actions on what is declared.
 * @throws PatchpanelError `plan/format`
 */
export function checkWhole({ targets }: Plan): void {
  const ids = new Set<string>();
  for (const { target: vm, read, actions } of targets) {
    if (digestOf(read.fields) !== read.digest) {
      const message = `the fields that ${vm.namespace}/${vm.name} was planned from do not fit their digest: the file was edited`;
      throw new PatchpanelError('plan/format', message);
    }
    for (const { id } of actions) {
      if (ids.has(id)) throw new PatchpanelError('plan/format', `two actions have the id ${id}`);
      ids.add(id);
    }
  }
  for (const target of targets) checkActions(target);
  for (const { actions } of targets) {
    for (const { id, after } of actions) {
      const lost = after.find((other) => !ids.has(other));
      if (lost !== undefined) throw new PatchpanelError('plan/format', `${id} waits for ${lost}, which is not there`);
    }
  }
}

/** What is given to a NIC, or taken from it, is of one that is declared; what goes is looked at again before it goes. */
function checkActions({ target: { namespace, name }, actions, declared = [] }: TargetPlan): void {
  const known = new Set(declared.map((each) => each.name));
  const stray = actions.flatMap(givenBy).find((each) => !known.has(each));
  if (stray === undefined) return;
  const message = `an action of ${namespace}/${name} is about ${stray}, which is not declared there: the file was edited`;
  throw new PatchpanelError('plan/format', message);
}

/** Names of the attachments that an action plugs or changes. */
function givenBy(action: PlanAction): readonly string[] {
  switch (action.kind) {
    case 'plug':
      return action.attachments.map(({ name }) => name);
    case 'edit-template':
      return action.put.map(({ name }) => name);
    case 'pod-plug':
      return [action.element.name];
    case 'link':
    case 'swap':
    case 'domain-attach':
    case 'domain-link':
      return [action.attachment];
    default:
      return [];
  }
}
