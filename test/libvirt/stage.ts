/** A lab for the tests of one file, or the reason why there is none. */
import { after, before, type TestContext, test } from 'node:test';
import { whatIsMissing } from './install.ts';
import { Lab } from './lab.ts';

/**
 * Starts a lab before the tests of a file and ends it after them. Where something is missing the tests are skipped, and say
 * what; in CI they fail instead.
 */
export function withLab(): (title: string, body: (lab: Lab, context: TestContext) => Promise<void>) => void {
  const missing = whatIsMissing();
  const reason = `needs ${missing.join(', ')}; node test/libvirt/install.ts brings it`;
  const skip = missing.length > 0 && process.env.CI === undefined ? reason : false;
  let lab: Lab | undefined;
  before(async () => {
    if (missing.length === 0) lab = await Lab.up();
  });
  after(async () => {
    await lab?.down();
  });
  return (title, body) => {
    test(title, { skip }, async (context) => {
      if (lab === undefined) throw new Error(reason);
      await body(lab, context);
    });
  };
}
