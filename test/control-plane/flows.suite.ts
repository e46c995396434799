/**
 * KubeVirt's own controllers, with the sandbox's nodes, do as recorded: so the nodes are true enough for them. Where the recordings'
 * nodes were not true, the sandbox's controllers are held against KubeVirt's on the same nodes.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { differences } from '../../sandbox/actors/flow-compare.ts';
import type { Recording } from '../../sandbox/actors/flow-recording.ts';
import { disagreeing, ownRecordings, readRecordings } from '../../sandbox/actors/flow-recordings.ts';
import { type Replay, replay, replayOn } from '../../sandbox/actors/flow-replay.ts';
import { recordings } from '../recordings.ts';
import { type FlowCluster, startFlowCluster } from './flow-cluster.ts';

let cluster: FlowCluster;
before(async () => {
  cluster = await startFlowCluster();
});
after(() => cluster?.stop());

/** Mostly they wait: for KubeVirt, or until nothing more happens. */
const sideBySide = 8;

/** On a busy machine a state of some milliseconds is seen or missed: what differs for a reason does so every time. */
const attempts = 3;

async function perform(recording: Recording): Promise<Replay> {
  const stage = await cluster.stage(recording.namespace);
  try {
    return await replayOn(stage, recording);
  } finally {
    await stage.stop();
  }
}

/** What two runs of KubeVirt itself do in two ways, by the beginning of the difference. */
const races: Readonly<Record<string, string>> = {
  // Whether it looks for the need of a restart before or after it has taken the absent NIC out of the VM.
  '32-ordinal-pod-names': 'states of VirtualMachine web01 RestartRequired',
};

/** The sandbox against KubeVirt, both on the same nodes. What KubeVirt was waited for in vain, the sandbox is as well. */
async function besideSandbox(recording: Recording, played: Replay): Promise<readonly string[]> {
  const sandbox = await replay(recording);
  assert.deepEqual(sandbox.unmet, played.unmet);
  return differences({ ...recording, ...played }, { ...sandbox, unmet: [] }, { order: false });
}

/** What differs each time. */
async function lasting(recording: Recording): Promise<readonly string[]> {
  let found: readonly string[] = [];
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    const own = attempt === 1 ? recording : renamed(recording, `${recording.namespace}-${attempt}`);
    const played = await perform(own);
    const all =
      disagreeing[recording.scenario] !== undefined
        ? await besideSandbox(own, played)
        : differences(own, played, { order: false });
    found = all.filter((line) => !line.startsWith(races[recording.scenario] ?? '\n'));
    if (found.length === 0) break;
  }
  return found;
}

/** The same in another namespace: what is left of an earlier attempt is not in its way. */
function renamed(recording: Recording, namespace: string): Recording {
  return JSON.parse(JSON.stringify(recording).replaceAll(recording.namespace, namespace)) as Recording;
}

/** Whether a recording changes the installation, so that no other may go on beside it. */
function isAlone({ steps }: Recording): boolean {
  return steps.some(({ request }) => request?.path.includes('/kubevirts/') === true);
}

test('recordings performed on KubeVirt', async (context) => {
  const given = recordings('kubevirt-flow');
  const all = readRecordings(given.skip === false ? given.path : ownRecordings);
  const waiting = all.filter((recording) => !isAlone(recording));
  const wrong: string[] = [];
  const judge = async (recording: Recording): Promise<void> => {
    const began = performance.now();
    const found = await lasting(recording);
    console.log(
      `${recording.scenario}: ${found.length === 0 ? 'agrees' : 'differs'}, ${Math.round((performance.now() - began) / 1000)} s`,
    );
    if (found.length > 0) wrong.push(`${recording.scenario}: ${found.join('\n  ')}`);
  };
  const work = async (): Promise<void> => {
    for (let recording = waiting.shift(); recording !== undefined; recording = waiting.shift()) await judge(recording);
  };
  await Promise.all(Array.from({ length: sideBySide }, work));
  for (const recording of all.filter(isAlone)) await judge(recording);
  const onNodes = all.filter(({ scenario }) => disagreeing[scenario] !== undefined).length;
  context.diagnostic(cluster.versions.join(' on '));
  context.diagnostic(
    `${all.length - onNodes} recordings, ${onNodes} comparisons with the sandbox: ${wrong.length} do not agree`,
  );
  assert.deepEqual(wrong, []);
});
