/**
 * The agent path on real things: annotation, CNI ADD, bridge and tap, attach-device, traffic, and the way back with nothing
 * left over; also where something fails, or the run is killed between any two steps.
 */
import assert from 'node:assert/strict';
import { failure, results } from '../apply-support.ts';
import { agentTest, domainName, linkLocal, prompt } from './agent-stage.ts';

agentTest(
  'two NICs on one network: plugged, traffic, unplugged, and nothing left',
  { ports: 4, linux: true },
  async (stage) => {
    const { pods, lab } = stage;
    const before = await stage.traces();
    const red = stage.element('red');
    const blue = stage.element('blue', { mac: '02:00:00:00:0d:02' });
    const outcome = await stage.apply(stage.plugs(red, blue));
    assert.deepEqual(results(outcome), { vm: 'converged' }, JSON.stringify(outcome.targets));
    assert.deepEqual(outcome.targets[0]?.verified, ['pod', 'multus', 'domain']);

    const status = await pods.status('vm');
    const macs = [red, blue].map(({ interface: at }) => status.find((entry) => entry.interface === at)?.mac ?? '');
    const { nics } = await stage.live();
    assert.deepEqual(
      nics.map(({ alias, mac, mtu }) => ({ alias, mac, mtu })),
      [
        { alias: 'ua-red', mac: macs[0], mtu: 1480 },
        { alias: 'ua-blue', mac: '02:00:00:00:0d:02', mtu: 1480 },
      ],
    );
    for (const mac of macs) {
      await lab.guestSays(domainName, new RegExp(`nic add \\S+ ${mac} mtu 1480`));
      await pods.answers('peer', linkLocal(mac), 'net1');
    }

    const again = await stage.apply(stage.plugs(red, blue));
    assert.deepEqual(results(again), { vm: 'converged' });
    assert.equal(again.summary.writes, 0);

    const away = await stage.apply(stage.unplugs(blue, red));
    assert.deepEqual(results(away), { vm: 'converged' }, JSON.stringify(away.targets));
    assert.deepEqual(await stage.traces(), before);
  },
);

agentTest('CNI ADD fails: nothing reaches the domain, and nothing is left', { ports: 2, ...prompt }, async (stage) => {
  const { pods } = stage;
  await pods.network('broken', { type: 'macvlan', master: 'nothing0' });
  const before = await stage.traces();
  const red = stage.element('red', { network: { namespace: 'demo', name: 'broken' } });
  const outcome = await stage.apply(stage.plugs(red));
  assert.equal(failure(outcome).code, 'apply/not-plugged');
  assert.deepEqual(
    outcome.targets[0]?.actions.map(({ result }) => result),
    ['failed', 'not-started'],
  );
  assert.deepEqual(await stage.traces(), before);
});

agentTest(
  'an interface that can not carry a guest: refused, and nothing is left',
  { ports: 2, ...prompt },
  async (stage) => {
    const { pods } = stage;
    await pods.network('direct', { type: 'macvlan', master: 'eth0', mode: 'bridge' });
    const before = await stage.traces();
    const red = stage.element('red', { network: { namespace: 'demo', name: 'direct' } });
    const outcome = await stage.apply(stage.plugs(red));
    assert.equal(failure(outcome).code, 'apply/not-attached');
    assert.match(failure(outcome).reason ?? '', /is a macvlan/);
    assert.deepEqual(await stage.traces(), before);
  },
);

agentTest('no port left: tap, bridge, addresses and element are taken back', { ports: 1, ...prompt }, async (stage) => {
  const [red, blue] = [stage.element('red'), stage.element('blue')];
  assert.deepEqual(results(await stage.apply(stage.plugs(red))), { vm: 'converged' });
  const before = await stage.traces();
  const outcome = await stage.apply(stage.plugs(red, blue));
  assert.deepEqual({ ...failure(outcome), reason: '' }, { layer: 'domain', code: 'apply/not-attached', reason: '' });
  assert.match(failure(outcome).reason ?? '', /No more available PCI slots/);
  // All of it was taken back on the spot; what was attached before is none of this run's.
  assert.deepEqual(outcome.targets[0]?.reversal, { actions: [], left: [], verified: [], held: true });
  assert.deepEqual(await stage.traces(), before);
  // Once there is a port it works.
  await stage.apply(stage.unplugs(red));
  assert.deepEqual(results(await stage.apply(stage.plugs(blue))), { vm: 'converged' });
});

agentTest('a tap that is busy: refused, it stays, and nothing else is left', { ports: 2, ...prompt }, async (stage) => {
  const { lab } = stage;
  const red = stage.element('red');
  const tap = `tap${red.interface.slice(3)}`;
  await lab.attach(domainName, { name: 'other', mac: '02:00:00:00:0d:09', tap });
  const before = await stage.traces();
  const outcome = await stage.apply(stage.plugs(red));
  assert.equal(failure(outcome).code, 'apply/not-attached');
  assert.match(failure(outcome).reason ?? '', /belongs to the NIC ua-other/);
  assert.deepEqual(await stage.traces(), before);
});

agentTest('a NIC of that name is there: neither plug nor unplug touches it', { ports: 2, ...prompt }, async (stage) => {
  await stage.lab.attach(domainName, { name: 'red', mac: '02:00:00:00:0d:09', tap: 'tap9' });
  const before = await stage.traces();
  const red = stage.element('red');
  const plug = await stage.apply(stage.plugs(red));
  assert.equal(failure(plug).code, 'apply/not-attached');
  assert.match(failure(plug).reason ?? '', /hangs on tap9/);
  assert.deepEqual(
    plug.targets[0]?.reversal?.actions.map(({ kind, result }) => `${kind} ${result}`),
    ['pod-unplug done', 'pod-release done'],
  );
  assert.deepEqual(await stage.traces(), before);
  const unplug = await stage.apply(stage.unplugs(red));
  assert.equal(failure(unplug).code, 'cluster/conflict');
  assert.match(failure(unplug).reason ?? '', /not on the record .* and the domain XML still has "red"/);
  assert.deepEqual(await stage.traces(), before);
});

agentTest(
  'taken back where another NIC fails, and the guest does not let go: it keeps all of it, until it does',
  { ports: 1, linux: true },
  async (stage) => {
    const { lab } = stage;
    const before = await stage.traces();
    const [blue, red] = [stage.element('blue'), stage.element('red')];
    await lab.must('suspend', domainName);
    const outcome = await stage.apply(stage.plugs(blue, red), { actionTimeoutMs: 5000 });
    assert.match(failure(outcome).reason ?? '', /No more available PCI slots/);
    const reversal = outcome.targets[0]?.reversal;
    assert.deepEqual(
      reversal?.actions.map(({ kind, result }) => `${kind} ${result}`),
      ['domain-detach failed'],
    );
    assert.match(reversal?.left[0]?.message ?? '', /the guest has not let "blue" go/);
    // On the record as well: the next run can take it out.
    const { nics, owned, status } = await stage.traces();
    assert.deepEqual({ nics, owned }, { nics: ['ua-blue'], owned: ['blue'] });
    assert.ok(status.includes(`${blue.interface} demo/lan`), status.join());
    await lab.must('resume', domainName);
    assert.deepEqual(results(await stage.apply(stage.unplugs(blue))), { vm: 'converged' });
    assert.deepEqual(await stage.traces(), before);
  },
);

agentTest(
  'a guest that ignores the unplug keeps all of it, until it lets go',
  { ports: 2, linux: true },
  async (stage) => {
    const { lab, pods } = stage;
    const before = await stage.traces();
    const red = stage.element('red');
    await stage.apply(stage.plugs(red));
    await lab.guestSays(domainName, /nic add/);
    const plugged = await stage.traces();
    await lab.must('suspend', domainName);
    const outcome = await stage.apply(stage.unplugs(red), { actionTimeoutMs: 1500 });
    assert.equal(failure(outcome).code, 'apply/timeout');
    assert.equal(failure(outcome).layer, 'domain');
    assert.deepEqual(await stage.traces(), plugged);
    await lab.must('resume', domainName);
    const mac = (await pods.status('vm')).find((entry) => entry.interface === red.interface)?.mac ?? '';
    assert.notEqual(mac, '');
    assert.deepEqual(results(await stage.apply(stage.unplugs(red))), { vm: 'converged' });
    assert.deepEqual(await stage.traces(), before);
  },
);

agentTest(
  'killed between any two steps of a plug: the next run goes on, or takes it all back',
  { ports: 2, ...prompt },
  async (stage) => {
    const before = await stage.traces();
    const red = stage.element('red');
    let steps = 0;
    for (let ended = false; !ended; steps += 1) {
      ended = await stage.killedAfter(stage.plugs(red), steps);
      if (steps % 2 === 1) {
        const outcome = await stage.apply(stage.plugs(red));
        assert.deepEqual(
          results(outcome),
          { vm: 'converged' },
          `killed after ${steps}: ${JSON.stringify(outcome.targets)}`,
        );
      }
      const outcome = await stage.apply(stage.unplugs(red));
      assert.deepEqual(
        results(outcome),
        { vm: 'converged' },
        `killed after ${steps}: ${JSON.stringify(outcome.targets)}`,
      );
      assert.deepEqual(await stage.traces(), before, `killed after ${steps} steps`);
    }
    assert.ok(steps > 20, `${steps} steps`);
  },
);

agentTest(
  'killed between any two steps of an unplug: the next run goes on, or plugs it again',
  { ports: 2, ...prompt },
  async (stage) => {
    const before = await stage.traces();
    const red = stage.element('red');
    let steps = 0;
    for (let ended = false; !ended; steps += 1) {
      const plugged = await stage.apply(stage.plugs(red));
      assert.deepEqual(results(plugged), { vm: 'converged' }, JSON.stringify(plugged.targets));
      ended = await stage.killedAfter(stage.unplugs(red), steps);
      if (steps % 2 === 1) continue;
      const outcome = await stage.apply(stage.unplugs(red));
      assert.deepEqual(
        results(outcome),
        { vm: 'converged' },
        `killed after ${steps}: ${JSON.stringify(outcome.targets)}`,
      );
      assert.deepEqual(await stage.traces(), before, `killed after ${steps} steps`);
    }
    assert.ok(steps > 10, `${steps} steps`);
  },
);
