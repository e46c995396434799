/** Actions as a sentence about another action names them: people do not know ids. */
import { objectKey } from '../vocabulary.ts';
import type { Plan, PlanAction } from './model.ts';

/** What an action does, in few words: `plug storage`. */
export function actionName(action: PlanAction): string {
  switch (action.kind) {
    case 'plug':
      return `plug ${action.attachments.map(({ name }) => name).join(', ')}`;
    case 'unplug':
      return `unplug ${action.attachments.join(', ')}`;
    case 'link':
      return `set the link of ${action.attachment}`;
    case 'swap':
      return `move ${action.attachment}`;
    case 'follow':
      return `wait for ${action.attachment}`;
    case 'edit-template':
      return 'edit the template';
    case 'set-ports':
      return 'set the number of ports';
    case 'restart':
      return 'restart it';
    case 'release':
      if (action.attachments.length === 0) return 'lift the hold';
      return `drop the record of ${action.attachments.join(', ')}`;
    case 'pod-plug':
      return `plug ${action.element.name}`;
    case 'pod-unplug':
      return `unplug ${action.elements.map(({ name }) => name).join(', ')}`;
    case 'pod-kick':
      return `ask the controller again for ${action.attachments.join(', ')}`;
    case 'pod-repair':
      return 'name the interfaces';
    case 'domain-attach':
      return `attach ${action.attachment} to the domain`;
    case 'domain-detach':
      return `detach ${action.attachment} from the domain`;
    case 'domain-link':
      return `set the link of ${action.attachment}`;
    case 'pod-follow':
      return `wait for ${action.attachment}`;
    case 'pod-release':
      return `drop the record of ${action.attachments.join(', ')}`;
    default:
      return action satisfies never;
  }
}

/** The same with its target, `plug storage of prod/db-0`, by the id of the action. */
export function actionNames({ targets }: Pick<Plan, 'targets'>): ReadonlyMap<string, string> {
  return new Map(
    targets.flatMap(({ target, actions }) =>
      actions.map((action) => [action.id, `${actionName(action)} of ${objectKey(target)}`] as const),
    ),
  );
}
