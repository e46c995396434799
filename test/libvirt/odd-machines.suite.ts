/** Domain XML of machines beyond those of a launcher: what is counted there is what real libvirt takes. */
import assert from 'node:assert/strict';
import { inspectPorts } from '../../cmd/inspect.ts';
import { exhaust } from './exhaust.ts';
import { oddMachines, oddXml } from './odd-machines.ts';
import { withLab } from './stage.ts';

const test = withLab();

for (const [number, odd] of oddMachines.entries()) {
  const model = odd.model ?? 'virtio-non-transitional';
  test(`${odd.title}: every port foretold`, async (lab, context) => {
    const name = `o${number}`;
    await lab.define(oddXml(name, odd));
    try {
      await lab.start(name, { paused: true });
      const { stdout } = inspectPorts(await lab.dumpXml(name), { model, output: 'json' });
      const { plugged } = await exhaust(lab, name, model);
      assert.equal(JSON.parse(stdout).free, plugged.length, 'inspect ports');
      context.diagnostic(`${plugged.length} plugged: ${plugged.join(' ')}`);
    } finally {
      await lab.remove(name);
    }
  });
}
