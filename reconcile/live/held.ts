/** The mark that a failed change leaves on its object. */
import { fields, text } from '../systems/json-shape.ts';
import type { HeldMark } from './model.ts';

/** A mark that can't be read holds all the same: somebody put it there. */
export function readHeld(annotation: string | undefined): HeldMark | undefined {
  if (annotation === undefined) return undefined;
  const read = parsed(annotation);
  const input = text(read.input);
  const reason = text(read.reason);
  if (input === undefined || reason === undefined) return { reason: 'its mark can not be read' };
  const instance = text(read.instance);
  const at = text(read.at);
  const commit = text(read.commit);
  return {
    input,
    ...(instance === undefined ? {} : { instance }),
    reason,
    ...(at === undefined ? {} : { at }),
    ...(commit === undefined ? {} : { commit }),
  };
}

function parsed(annotation: string): ReturnType<typeof fields> {
  try {
    return fields(JSON.parse(annotation));
  } catch {
    return {};
  }
}
