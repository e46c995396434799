/** A commit to compare with that can't be rendered. */
import { isExpected, type PatchpanelError, PatchpanelErrors } from '../errors.ts';
import type { Base } from './model.ts';

/**
 * What is wrong with it. That must not stop a change, which may be what mends it.
 * @throws the error itself where the commit could not even be had
 */
export function unrendered(ref: string, error: unknown): Base {
  if (!isExpected(error)) throw error;
  const faults = error instanceof PatchpanelErrors ? error.errors : [error];
  if (faults.some(isNotOfItsFiles)) throw error;
  return {
    kind: 'unrendered',
    ref,
    faults: faults.map(({ code, message, position }) => ({
      code,
      message,
      ...(position === undefined ? {} : { position: { ...position } }),
    })),
  };
}

function isNotOfItsFiles({ code }: PatchpanelError): boolean {
  return /^(?:git|cli)\/|^internal$|^source\/unsupported-transport$/.test(code);
}
