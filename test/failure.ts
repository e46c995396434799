import assert from 'node:assert/strict';
import { PatchpanelError } from '../reconcile/errors.ts';

/** The error that a promise must be rejected with: one of patchpanel's own. */
export async function failureOf(work: Promise<unknown>): Promise<PatchpanelError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof PatchpanelError, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: 'it should have failed' });
}
