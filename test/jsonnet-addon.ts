/** Whether tests of Jsonnet can run: its addon is optional on a developer's machine, and must be there in CI. */
import { createRequire } from 'node:module';

/** Why they can't; false where they can. */
export const skipJsonnet: string | false = isMissing() ? 'the Jsonnet addon is not installed' : false;

function isMissing(): boolean {
  try {
    createRequire(import.meta.url).resolve('@hanazuki/node-jsonnet');
    return false;
  } catch {
    return process.env.CI === undefined;
  }
}
