import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { networkAttachmentDefinitions, virtualMachines } from '../../reconcile/kube/resources.ts';
import { podInterfaceName } from '../../reconcile/systems/kubevirt-names.ts';
import { networksAnnotation } from '../../reconcile/systems/multus-networks.ts';
import { bridgeNetwork, machine } from '../../test/manifests.ts';
import { recordings } from '../../test/recordings.ts';
import { assembleSandbox } from '../sandbox.ts';
import { answerDifferences, differences } from './flow-compare.ts';
import type { Recording } from './flow-recording.ts';
import { disagreeing, ownRecordings, readRecordings } from './flow-recordings.ts';
import { replay } from './flow-replay.ts';
import { replaySpeed } from './flow-stage.ts';
import type { Pod, Vmi } from './objects.ts';
import { infoSources } from './pod-networks.ts';
import { sleep } from './sleep.ts';

/** Replays mostly wait for the sandbox to fall silent, so several go side by side. */
const sideBySide = 4;

/**
 * Actors race, as the recorded controllers do: on a busy machine a condition that lasts some milliseconds is seen or missed
 * otherwise than on the day of the recording. A rule that is wrong differs every time.
 */
const attempts = 4;

/** What differs in each of several replays; empty as soon as one agrees. */
async function lastingDifferences(
  recording: Recording,
  compare: (recording: Recording, played: Awaited<ReturnType<typeof replay>>) => readonly string[],
): Promise<readonly string[]> {
  let found: readonly string[] = [];
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    found = compare(recording, await replay(recording));
    if (found.length === 0) return found;
  }
  return found;
}

describe('the sandbox does as recorded', { concurrency: sideBySide }, () => {
  for (const recording of readRecordings(ownRecordings)) {
    it(recording.scenario, async () => {
      assert.deepEqual(await lastingDifferences(recording, differences), []);
    });
  }
});

const { path: flows, skip } = recordings('kubevirt-flow');
test('every recording but those listed agrees', { skip }, async () => {
  const recorded = readRecordings(flows);
  const wrong: string[] = [];
  let agreeing = 0;
  const waiting = recorded.filter(({ scenario }) => disagreeing[scenario]?.answers !== false);
  const work = async (): Promise<void> => {
    for (let recording = waiting.pop(); recording !== undefined; recording = waiting.pop()) {
      const known = disagreeing[recording.scenario];
      const found = await lastingDifferences(recording, known === undefined ? differences : answerDifferences);
      if (found.length > 0) wrong.push(`${recording.scenario}: ${found.join('\n  ')}`);
      else if (known === undefined) agreeing += 1;
    }
  };
  await Promise.all(Array.from({ length: sideBySide }, work));
  console.log(`KubeVirt flows: ${agreeing} of ${recorded.length} recordings agree`);
  for (const { scenario } of recorded) {
    const known = disagreeing[scenario];
    if (known !== undefined) console.log(`  not ${scenario}: ${known.reason}`);
  }
  assert.deepEqual(wrong, []);
});

test('one network serves two NICs, and one of them leaves without the other', async () => {
  const sandbox = await assembleSandbox({ speed: replaySpeed });
  try {
    const { admin } = sandbox;
    const namespace = 'default';
    const place = { namespace, name: 'twin' };
    const vmi = (): Vmi | undefined =>
      sandbox.api.store.get('kubevirt.io', 'virtualmachineinstances', namespace, 'twin') as Vmi | undefined;
    const annotation = (): string => {
      const uid = vmi()?.metadata.uid;
      const pods = sandbox.api.store.list('', 'pods', namespace) as unknown as readonly Pod[];
      const own = pods.find((pod) => pod.metadata.labels?.['kubevirt.io/created-by'] === uid);
      return own?.metadata.annotations?.[networksAnnotation] ?? '';
    };
    const sources = (name: string): readonly string[] =>
      infoSources(vmi()?.status?.interfaces?.find((status) => status.name === name));
    await admin.create(networkAttachmentDefinitions, bridgeNetwork({ name: 'shared', namespace }));
    await admin.create(virtualMachines, machine(place));
    await until(() => vmi()?.status?.phase === 'Running');
    const nics = ['left', 'right'].flatMap((name) => [
      {
        op: 'add',
        path: '/spec/template/spec/networks/-',
        value: { name, multus: { networkName: 'shared' } },
      } as const,
      { op: 'add', path: '/spec/template/spec/domain/devices/interfaces/-', value: { name, bridge: {} } } as const,
    ]);
    await admin.jsonPatch(virtualMachines, namespace, 'twin', nics);
    await until(() => ['left', 'right'].every((name) => sources(name).length === 3));
    assert.deepEqual(
      (JSON.parse(annotation()) as { name: string; interface: string }[]).map((one) => [one.name, one.interface]),
      [
        ['shared', podInterfaceName('left')],
        ['shared', podInterfaceName('right')],
      ],
    );
    const absent = {
      op: 'add',
      path: '/spec/template/spec/domain/devices/interfaces/1/state',
      value: 'absent',
    } as const;
    await admin.jsonPatch(virtualMachines, namespace, 'twin', [absent]);
    const names = (): readonly string[] | undefined => vmi()?.spec.domain.devices.interfaces?.map((nic) => nic.name);
    await until(() => names()?.includes('left') === false);
    assert.deepEqual(names(), ['default', 'right']);
    assert.deepEqual(sources('right'), ['domain', 'guest-agent', 'multus-status']);
    assert.equal(JSON.parse(annotation()).length, 1);
  } finally {
    await sandbox.stop();
  }
});

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `in vain: ${condition}`);
    await sleep(5);
  }
}
