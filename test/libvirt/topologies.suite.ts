/** Ports foretold from live XML, against what real libvirt takes; and the sandbox's model of libvirt against both. */
import assert from 'node:assert/strict';
import { defineDomain } from '../../sandbox/node/libvirt-model.ts';
import { sourceXml } from './domain-source.ts';
import { exhaust, exhaustModel } from './exhaust.ts';
import { withLab } from './stage.ts';
import { topologies } from './topologies.ts';

const test = withLab();
let agreed = 0;
let modelled = 0;

for (const [number, { title, devices, machine, model }] of topologies.entries()) {
  test(`${title}: every port foretold`, async (lab, context) => {
    const name = `t${number}`;
    const serialFile = lab.serialFile(name);
    await lab.define(sourceXml({ name, devices, serialFile, ...(machine === undefined ? {} : { machine }) }));
    try {
      await lab.start(name, { paused: true });
      const real = await exhaust(lab, name, model);
      agreed += 1;
      context.diagnostic(`${real.plugged.length} plugged: ${real.plugged.join(' ')}`);
      if (machine !== undefined) return;
      const modelledDomain = defineDomain({ name, uuid: '', memoryKiB: 65536, vcpus: 1, devices });
      assert.deepEqual(exhaustModel(modelledDomain, model), real, 'the sandbox models it alike');
      modelled += 1;
    } finally {
      await lab.remove(name);
    }
  });
}

test('over at least 20 topologies', async (lab, context) => {
  const version = /Using library: (.*)/.exec(await lab.must('version'))?.[1];
  context.diagnostic(`${agreed} of ${topologies.length} topologies foretold port by port on ${version}`);
  context.diagnostic(`${modelled} modelled alike by the sandbox`);
  assert.ok(topologies.length >= 20);
  assert.equal(agreed, topologies.length);
});
