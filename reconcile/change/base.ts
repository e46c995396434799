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

/** Whatever is no fault of what the commit holds: the host, the clone, the trust in it. */
function isNotOfItsFiles({ code }: PatchpanelError): boolean {
  return !/^(?:source|yaml|schema|desired|jsonnet)\//.test(code) || code === 'source/unsupported-transport';
}
