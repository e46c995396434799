/** What moved since a plan was made, in words. */
import type { StaleTarget } from '../plan/fingerprint.ts';
import type { Json } from '../vocabulary.ts';

/** What moved, the parts that people know first, and not more than a reader takes in. */
export function movedWords(moved: StaleTarget['moved']): string {
  const parts = ['vm', 'vmi', 'networks', 'cluster', 'pod', 'macs', 'hardware', 'domain'];
  const rank = ({ field }: { readonly field: string }): number => parts.indexOf(field.split('.')[0] ?? '');
  const words = moved.toSorted((a, b) => rank(a) - rank(b)).map(movedWord);
  const shown = words.slice(0, 3).join('; ');
  return words.length > 3 ? `${shown}; and ${words.length - 3} more` : shown;
}

/** Objects come and go as a whole; their content would only hide that. */
function movedWord({ field, was, is }: StaleTarget['moved'][number]): string {
  if (was === null) return `${field} is new${valueWords(is)}`;
  return is === null
    ? `${field} is gone${valueWords(was)}`
    : `${field} was ${JSON.stringify(was)}, is ${JSON.stringify(is)}`;
}

function valueWords(value: Json): string {
  return typeof value === 'object' ? '' : ` (${JSON.stringify(value)})`;
}
