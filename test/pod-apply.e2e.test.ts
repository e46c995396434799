/** The pod path on the sandbox, whose Multus has the warts of the real one. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { revision } from '../reconcile/desired/revision.ts';
import { networkAttachmentDefinitions, pods } from '../reconcile/kube/resources.ts';
import type { PlannedElement } from '../reconcile/plan/pod-model.ts';
import { networksAnnotation } from '../reconcile/systems/multus-networks.ts';
import { networkStatusAnnotation } from '../reconcile/systems/multus-status.ts';
import { appliedCommitAnnotation, heldAnnotation, protectAnnotation } from '../reconcile/systems/patchpanel.ts';
import { nad, type Stage, stage } from './apply-scenario.ts';
import { failure, heal, intercepted, killedAfter, results } from './apply-support.ts';
import { PodScenario } from './pod-stage.ts';

let here: Stage;
before(async () => {
  here = await stage();
});
after(async () => {
  await here.stop();
});

async function scenario(namespace: string): Promise<PodScenario> {
  return new PodScenario(await here.scenario(namespace));
}

const plug = (element: PlannedElement) => ({ kind: 'pod-plug', element }) as const;
const unplug = (...elements: readonly PlannedElement[]) => ({ kind: 'pod-unplug', elements, ghost: false }) as const;
const release = (...attachments: readonly string[]) => ({ kind: 'pod-release', attachments }) as const;

/** An element of somebody else, as people write it. */
const foreign = '[\n  {"name": "vlan30", "interface": "net1", "x": 1.50}\n]';

test('plugged one write each, unplugged in one; what is not ours stays as it was', async () => {
  const it = await scenario('plain');
  const pod = await it.pod('router', foreign);
  const [red, blue] = [it.element('red'), it.element('blue', 'vlan10', { mac: '02:00:00:00:0a:01' })];
  const { outcome } = await it.apply(it.plan(pod, [plug(red), plug(blue)], [red, blue]));
  assert.deepEqual(results(outcome), { router: 'converged' });
  assert.equal(outcome.summary.writes, 2);
  assert.deepEqual(outcome.targets[0]?.verified, ['pod', 'multus']);
  assert.deepEqual(await it.interfaces('router'), [
    'eth0 k8s-pod-network',
    'net1 plain/vlan30',
    'pp-blue plain/vlan10',
    'pp-red plain/vlan10',
  ]);
  assert.deepEqual(await it.owned('router'), ['blue', 'red']);
  const { annotations } = (await it.read('router')).metadata;
  assert.equal(annotations?.[appliedCommitAnnotation], revision(it.plan(pod, [], []).source));
  const written = JSON.parse((await it.networks('router')) ?? '') as readonly object[];
  assert.deepEqual(written[0], { name: 'vlan30', interface: 'net1', x: 1.5 });
  assert.deepEqual(written[2], {
    name: 'vlan10',
    namespace: 'plain',
    mac: '02:00:00:00:0a:01',
    interface: 'pp-blue',
  });

  const gone = await it.apply(it.plan(pod, [unplug(red, blue), release('red', 'blue')], []));
  assert.deepEqual(results(gone.outcome), { router: 'converged' });
  assert.equal(gone.outcome.summary.writes, 2);
  assert.deepEqual(await it.interfaces('router'), ['eth0 k8s-pod-network', 'net1 plain/vlan30']);
  assert.equal(await it.owned('router'), undefined);
  assert.deepEqual(JSON.parse((await it.networks('router')) ?? ''), [{ name: 'vlan30', interface: 'net1', x: 1.5 }]);
});

test('what a person protects after the plan was made stays', async () => {
  const it = await scenario('kept');
  const pod = await it.pod('router');
  const red = it.element('red');
  await it.apply(it.plan(pod, [plug(red)], [red]));
  const protect = { metadata: { annotations: { [protectAnnotation]: 'red' } } };
  await here.cluster.admin.mergePatch(pods, 'kept', 'router', protect);
  const { outcome } = await it.apply(it.plan(pod, [unplug(red), release('red')], []));
  assert.match(failure(outcome).reason ?? '', /changed meanwhile: the annotation patchpanel\.dev\/protect keeps red$/);
  assert.deepEqual([outcome.summary.writes, await it.owned('router')], [0, ['red']]);
});

test('the first attachment of a pod without annotation, and the last one', async () => {
  const it = await scenario('bare');
  const pod = await it.pod('router');
  const red = it.element('red');
  const { outcome } = await it.apply(it.plan(pod, [plug(red)], [red]));
  assert.deepEqual(results(outcome), { router: 'converged' });
  await it.apply(it.plan(pod, [unplug(red), release('red')], []));
  assert.deepEqual(await it.interfaces('router'), ['eth0 k8s-pod-network']);
});

test('CNI ADD fails: said in the words of the controller, and the element is taken out again', async () => {
  const it = await scenario('refusing');
  const pod = await it.pod('router', foreign);
  const before = JSON.parse((await it.networks('router')) ?? '') as unknown;
  await here.cluster.misbehave({ name: 'cni-add-fails', value: 'refusing/vlan20' });
  try {
    const red = it.element('red', 'vlan20');
    const { outcome } = await it.apply(it.plan(pod, [plug(red)], [red]));
    const { layer, code, reason } = failure(outcome);
    assert.deepEqual({ layer, code }, { layer: 'multus', code: 'apply/not-plugged' });
    assert.match(reason ?? '', /FailedAddingInterface .* pp-red to network: vlan20/);
    assert.deepEqual(JSON.parse((await it.networks('router')) ?? ''), before);
    assert.equal(await it.owned('router'), undefined);
    assert.deepEqual(await it.interfaces('router'), ['eth0 k8s-pod-network', 'net1 refusing/vlan30']);
    await heal(here);
    const again = await it.apply(it.plan(pod, [plug(red)], [red]));
    assert.deepEqual(results(again.outcome), { router: 'converged' });
  } finally {
    await heal(here);
  }
});

test('what a pod was given before a plug fails is taken from it, what was taken comes back, and it is held', async () => {
  const it = await scenario('wayback');
  const pod = await it.pod('router', foreign);
  const old = it.element('old', 'vlan10', { mac: '02:00:00:00:0a:07' });
  await it.apply(it.plan(pod, [plug(old)], [old]));
  const before = await it.interfaces('router');
  await here.cluster.misbehave({ name: 'cni-add-fails', value: 'wayback/vlan20' });
  try {
    const [blue, red] = [it.element('blue', 'vlan10'), it.element('red', 'vlan20')];
    const steps = [unplug(old), release('old'), plug(blue), plug(red)];
    const { outcome } = await it.apply(it.plan(pod, steps, [blue, red], { input: 'sha256:0' }));
    const [target] = outcome.targets;
    assert.deepEqual(
      target?.reversal?.actions.map(({ kind, result }) => `${kind} ${result}`),
      ['pod-unplug done', 'pod-release done', 'pod-plug done'],
      JSON.stringify(outcome),
    );
    assert.deepEqual([target?.reversal?.left, target?.reversal?.verified], [[], ['pod', 'multus']]);
    assert.deepEqual(await it.interfaces('router'), before);
    assert.match((await it.networks('router')) ?? '', /02:00:00:00:0a:07/);
    assert.deepEqual(await it.owned('router'), ['old']);
    const mark = (await it.read('router')).metadata.annotations?.[heldAnnotation];
    assert.match(
      mark ?? '',
      /^\{"input":"sha256:0","reason":"\\"plug red of wayback\/router\\" failed at layer multus/,
    );
  } finally {
    await heal(here);
  }
});

test('a network that comes a moment too late for the quick retries of the controller', async () => {
  const it = await scenario('late');
  const pod = await it.pod('router');
  const red = it.element('red', 'vlan99');
  let writes = 0;
  const cluster = intercepted(it.writer, async (send) => {
    writes += 1;
    if (writes === 2) await it.cluster.create(networkAttachmentDefinitions, nad('late', 'vlan99'));
    return await send();
  });
  const { outcome } = await it.apply(it.plan(pod, [plug(red)], [red]), {}, cluster);
  assert.deepEqual(results(outcome), { router: 'converged' });
  assert.deepEqual(await it.interfaces('router'), ['eth0 k8s-pod-network', 'pp-red late/vlan99']);
});

test('a ghost: network-status lists what was rolled back, so it is taken out and plugged again', async () => {
  const it = await scenario('ghost');
  const pod = await it.pod('router');
  // Something that the controller tries to remove after our add, and can't: it rolls our add back.
  const status = JSON.parse(pod.metadata.annotations?.[networkStatusAnnotation] ?? '[]') as object[];
  const withStale = [...status, { name: 'ghost/vlan99', interface: 'net9', dns: {} }];
  await it.cluster.mergePatch(
    pods,
    'ghost',
    'router',
    { metadata: { annotations: { [networkStatusAnnotation]: JSON.stringify(withStale) } } },
    { subresource: 'status' },
  );
  const red = it.element('red');
  let writes = 0;
  const cluster = intercepted(it.writer, async (send) => {
    writes += 1;
    if (writes === 2) await it.cluster.create(networkAttachmentDefinitions, nad('ghost', 'vlan99'));
    return await send();
  });
  const { outcome } = await it.apply(it.plan(pod, [plug(red)], [red]), {}, cluster);
  assert.deepEqual(results(outcome), { router: 'converged' });
  assert.equal(writes, 3, 'in, out, and in again');
  assert.deepEqual(await it.interfaces('router'), ['eth0 k8s-pod-network', 'pp-red ghost/vlan10']);
});

test('another writer is faster: read again, and both are there', async () => {
  const it = await scenario('race');
  const pod = await it.pod('router', foreign);
  const red = it.element('red');
  let raced = false;
  const cluster = intercepted(it.writer, async (send) => {
    if (!raced) {
      raced = true;
      const value = '[{"name":"vlan30","interface":"net1"},{"name":"vlan20","interface":"net2"}]';
      await it.cluster.mergePatch(pods, 'race', 'router', {
        metadata: { annotations: { [networksAnnotation]: value } },
      });
    }
    return await send();
  });
  const { outcome } = await it.apply(it.plan(pod, [plug(red)], [red]), {}, cluster);
  assert.deepEqual(results(outcome), { router: 'converged' });
  const written = JSON.parse((await it.networks('router')) ?? '') as readonly { readonly interface: string }[];
  assert.deepEqual(
    written.map((element) => element.interface),
    ['net1', 'net2', 'pp-red'],
  );
});

test('a pod that was made anew under its name is another pod', async () => {
  const it = await scenario('anew');
  const pod = await it.pod('router');
  await it.cluster.delete(pods, 'anew', 'router');
  for (let gone = false; !gone; )
    gone = (await it.cluster.get(pods, 'anew', 'router'))?.metadata.uid !== pod.metadata.uid;
  await it.pod('router');
  const red = it.element('red');
  const { outcome } = await it.apply(it.plan(pod, [plug(red)], [red]));
  assert.equal(failure(outcome).code, 'plan/stale');
  assert.equal(await it.networks('router'), undefined);
});

test('no write on top of one that has not arrived', async () => {
  const it = await scenario('unrest');
  const pod = await it.pod('router', '[{"name":"vlan30","interface":"net1"}]');
  const value = '[{"name":"vlan30","interface":"net1"},{"name":"vlan99","interface":"net7"}]';
  await it.cluster.mergePatch(pods, 'unrest', 'router', { metadata: { annotations: { [networksAnnotation]: value } } });
  const red = it.element('red');
  const { outcome } = await it.apply(it.plan(pod, [plug(red)], [red]), { actionTimeoutMs: 1000 });
  const { code, layer, reason } = failure(outcome);
  assert.deepEqual({ code, layer }, { code: 'apply/timeout', layer: 'multus' });
  assert.match(reason ?? '', /network-status has no net7 on unrest\/vlan99, which was asked for before/);
  assert.equal(await it.networks('router'), value);
});

test('a controller that gave up looks again at the same annotation in other bytes', async () => {
  const it = await scenario('kick');
  const pod = await it.pod('router');
  const red = it.element('red', 'vlan99');
  const value = JSON.stringify([{ name: 'vlan99', namespace: 'kick', interface: red.interface }]);
  await it.cluster.mergePatch(pods, 'kick', 'router', { metadata: { annotations: { [networksAnnotation]: value } } });
  const events = { group: '', version: 'v1', plural: 'events', kind: 'Event' };
  for (let tries = 0; tries < 4; ) {
    const { items } = await it.cluster.list(events, { namespace: 'kick' }, (event) =>
      event.reason === 'FailedAddingInterface' ? Number(event.count) : undefined,
    );
    tries = items[0] ?? 0;
  }
  await it.cluster.create(networkAttachmentDefinitions, nad('kick', 'vlan99'));
  const kick = { kind: 'pod-kick', attachments: ['red'], until: 'plugged' } as const;
  const { outcome } = await it.apply(it.plan(pod, [kick], [red]));
  assert.deepEqual(results(outcome), { router: 'converged' });
  assert.deepEqual(JSON.parse((await it.networks('router')) ?? ''), JSON.parse(value));
  assert.deepEqual(await it.interfaces('router'), ['eth0 k8s-pod-network', 'pp-red kick/vlan99']);
});

test('a removal that the controller gave up is asked for again, and only then is the record dropped', async () => {
  const it = await scenario('stuck');
  const pod = await it.pod('router');
  const red = it.element('red');
  await it.apply(it.plan(pod, [plug(red)], [red]));
  await it.cluster.delete(networkAttachmentDefinitions, 'stuck', 'vlan10');
  const failed = await it.apply(it.plan(pod, [unplug(red), release('red')], []));
  assert.equal(failure(failed.outcome).code, 'apply/not-plugged');
  assert.match(failure(failed.outcome).reason ?? '', /FailedRemovingInterface/);
  assert.deepEqual(await it.owned('router'), ['red']);
  assert.deepEqual(await it.interfaces('router'), ['eth0 k8s-pod-network', 'pp-red stuck/vlan10']);

  await it.cluster.create(networkAttachmentDefinitions, nad('stuck', 'vlan10'));
  const kick = { kind: 'pod-kick', attachments: ['red'], until: 'gone' } as const;
  const { outcome } = await it.apply(it.plan(pod, [kick, release('red')], []));
  assert.deepEqual(results(outcome), { router: 'converged' });
  assert.deepEqual(await it.interfaces('router'), ['eth0 k8s-pod-network']);
  assert.equal(await it.owned('router'), undefined);
});

test('killed at any point, the next run goes on', async () => {
  const it = await scenario('killed');
  const pod = await it.pod('router', foreign);
  const before = JSON.parse((await it.networks('router')) ?? '') as unknown;
  const [red, blue] = [it.element('red'), it.element('blue')];
  for (const event of ['action-started', 'waiting', 'layer-reached', 'action-done'] as const) {
    await killedAfter(it.plan(pod, [plug(red), plug(blue)], [red, blue]), here.kubeconfig, event);
    const { outcome } = await it.apply(it.plan(pod, [plug(red), plug(blue)], [red, blue]));
    assert.deepEqual(results(outcome), { router: 'converged' }, event);
    assert.deepEqual(await it.owned('router'), ['blue', 'red']);
    const away = it.plan(pod, [unplug(red, blue), release('red', 'blue')], []);
    await killedAfter(away, here.kubeconfig, event);
    assert.deepEqual(results((await it.apply(away)).outcome), { router: 'converged' }, event);
    assert.deepEqual(await it.interfaces('router'), ['eth0 k8s-pod-network', 'net1 killed/vlan30']);
    assert.deepEqual(JSON.parse((await it.networks('router')) ?? ''), before);
    assert.equal(await it.owned('router'), undefined);
  }
});

test('a pod that ends is not waited for', async () => {
  const it = await scenario('ended');
  const pod = await it.pod('router');
  await here.cluster.misbehave({ name: 'cni-add-fails', value: 'ended/vlan20' });
  try {
    const cluster = intercepted(it.writer, async (send) => {
      const written = await send();
      const status = { phase: 'Succeeded' };
      await it.cluster.mergePatch(pods, 'ended', 'router', { status }, { subresource: 'status' });
      return written;
    });
    const red = it.element('red', 'vlan20');
    const { code, reason } = failure((await it.apply(it.plan(pod, [plug(red)], [red]), {}, cluster)).outcome);
    assert.equal(code, 'plan/stale');
    assert.match(reason ?? '', /is no longer there, or has ended/);
  } finally {
    await heal(here);
  }
});

test('what was never plugged and is taken out leaves the controller the time to look', async () => {
  const it = await scenario('twice');
  const pod = await it.pod('router');
  const red = it.element('red', 'vlan99');
  let [writes, looked] = [0, false];
  const cluster = intercepted(it.writer, async (send) => {
    writes += 1;
    if (writes === 3) assert.ok(looked, 'the second change came on top of the first');
    const written = await send();
    if (writes === 2) setTimeout(() => (looked = true), 100);
    return written;
  });
  const { outcome } = await it.apply(it.plan(pod, [plug(red)], [red]), {}, cluster);
  assert.equal(failure(outcome).code, 'apply/not-plugged');
  assert.ok(looked && writes > 3);
});

test('no command runs in a pod that was made anew under the name', async () => {
  const it = await scenario('renewed');
  const pod = await it.pod('vm-0');
  const red = it.element('red');
  let commands = 0;
  const exec = async (): ReturnType<typeof it.writer.exec> => {
    commands += 1;
    await it.cluster.delete(pods, 'renewed', 'vm-0');
    while ((await it.cluster.get(pods, 'renewed', 'vm-0')) !== undefined) await sleep(25);
    const { metadata } = await it.pod('vm-0');
    assert.notEqual(metadata.uid, pod.metadata.uid);
    return { exitCode: 1, stdout: '', stderr: 'error: Failed to connect socket to /s: Connection refused' };
  };
  const cluster = new Proxy(it.writer, {
    get(target, key) {
      if (key === 'exec') return exec;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const attach = {
    kind: 'domain-attach',
    attachment: 'red',
    interface: red.interface,
    model: 'virtio',
    state: 'up',
  } as const;
  const domain = { name: 'guest', container: 'main', uri: 'qemu:///system' };
  const { outcome } = await it.apply(it.plan(pod, [attach], [red], { domain }), {}, cluster);
  assert.equal(failure(outcome).code, 'plan/stale');
  assert.equal(commands, 1);
});
