/**
 * Plans of pods against a model of the dynamic-networks controller: whatever state a pod is in, the writes of its plan, one
 * at a time, never make the controller touch what is not ours, add and remove in one round, or leave a ghost.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { DesiredElement } from '../reconcile/desired/model.ts';
import type { LiveTargetPod, OwnedInterface } from '../reconcile/live/pod-model.ts';
import type { PodAction } from '../reconcile/plan/pod-model.ts';
import { editNetworks, type NetworksEdit, readElements } from '../reconcile/systems/multus-edit.ts';
import type { NetworkSelectionElement } from '../reconcile/systems/multus-networks.ts';
import type { NetworkStatus } from '../reconcile/systems/multus-status.ts';
import { type DynamicCase, readDynamicCases } from '../sandbox/actors/dynamic-cases.ts';
import { planAttachments, reconcileAttachments, triesBeforeSilence } from '../sandbox/actors/dynamic-networks-core.ts';
import { declares, podPlan, podWith, wants } from './pod-cases.ts';
import { recordings } from './recordings.ts';
import { network } from './vm-builder.ts';

interface State {
  text: string | undefined;
  status: readonly NetworkStatus[];
  /** Interfaces that the pod really has. */
  readonly present: Set<string>;
}

function editOf(action: PodAction): NetworksEdit | undefined {
  switch (action.kind) {
    case 'pod-plug': {
      const { name: _name, network: of, ...rest } = action.element;
      return { kind: 'add', element: { ...of, ...rest } };
    }
    case 'pod-unplug':
      return {
        kind: 'remove',
        elements: action.elements.map((one) => ({ ...one.network, interface: one.interface })),
      };
    case 'pod-repair':
      return { kind: 'repair', elements: action.elements };
    case 'pod-kick':
      return { kind: 'kick' };
    default:
      return undefined;
  }
}

/** Lets the controller act on a change of the annotation, as often as it would. */
async function settle(state: State, touched: (call: string, iface: string) => void, fails: (iface: string) => boolean) {
  const read = readElements(state.text, 'prod');
  assert.ok(read.ok, 'what was written can be read');
  for (let tries = 0; tries < triesBeforeSilence; tries += 1) {
    const plan = planAttachments(read.elements, state.status);
    if (plan.adds.length === 0 && plan.removes.length === 0) return;
    assert.ok(plan.adds.length === 0 || plan.removes.length === 0, 'adds and removes in one round');
    assert.ok(plan.adds.length <= 1, 'one add a round');
    const nameOf = ({ interface: iface = '' }: NetworkSelectionElement) => iface;
    const round = await reconcileAttachments(
      { namespace: 'prod', name: 'web' },
      plan,
      state.status,
      {
        add(element) {
          touched('ADD', nameOf(element));
          if (state.present.has(nameOf(element)) || fails(nameOf(element))) throw new Error('ADD');
          state.present.add(nameOf(element));
          return [{ name: `${element.namespace}/${element.name}`, interface: nameOf(element) }];
        },
        del(element) {
          touched('DEL', nameOf(element));
          state.present.delete(nameOf(element));
        },
      },
      () => {},
      () => {},
    );
    state.status = round.status;
    if (!round.failed) return;
  }
}

function ghosts({ status, present }: State): readonly NetworkStatus[] {
  return status.filter((one) => one.default !== true && !present.has(one.interface ?? ''));
}

/** The annotations and statuses of one case, all combined. */
function statesOf(one: DynamicCase): readonly Pick<State, 'text' | 'status'>[] {
  const texts = [one.networksBefore, one.networksAfter].map((networks) =>
    typeof networks === 'object' ? JSON.stringify(networks) : networks,
  );
  const statuses = [one.statusBefore, one.expectedStatusAfter ?? one.statusBefore];
  return texts.flatMap((text) => statuses.map((status) => ({ text, status })));
}

const namespace = 'prod';

/** Runs the plan of one pod to its end; says how many writes it made. */
async function run(
  pod: LiveTargetPod,
  wanted: readonly DesiredElement[],
  repair: boolean,
  fail: boolean,
): Promise<number> {
  const networks = [...pod.owned, ...wanted].map((one) =>
    network(one.network.name, { namespace: one.network.namespace }),
  );
  const plan = podPlan(declares(wanted, { repair }), pod, { networks });
  const state: State = {
    text: pod.networksText,
    status: pod.status === undefined || 'problem' in pod.status ? [] : pod.status,
    present: new Set(),
  };
  for (const one of state.status) state.present.add(one.interface ?? '');
  const ours = new Set([...pod.owned, ...wanted].map((one) => one.interface));
  let writes = 0;
  for (const action of plan?.actions ?? []) {
    const edit = editOf(action);
    if (edit === undefined) continue;
    const edited = editNetworks(state.text, namespace, edit);
    assert.ok(edited.ok, `${action.kind}: ${edited.ok ? '' : edited.reason}`);
    assert.notEqual(edited.value, state.text, 'every write changes the annotation');
    state.text = edited.value;
    writes += 1;
    await settle(
      state,
      (call, iface) => assert.ok(ours.has(iface), `${call} of ${iface}, which is not ours`),
      () => fail,
    );
    assert.deepEqual(ghosts(state), [], action.kind);
    // A run that fails goes no further.
    if (fail && (action.kind === 'pod-plug' || action.kind === 'pod-kick')) return writes;
  }
  return writes;
}

async function check(cases: readonly DynamicCase[]): Promise<number> {
  let writes = 0;
  for (const one of cases) {
    for (const { text, status } of statesOf(one)) {
      const live = podWith(text, { status });
      const elements = 'problem' in live.networks ? [] : live.networks;
      const named = elements.filter((item) => item.interface !== undefined);
      const record = (item: NetworkSelectionElement): OwnedInterface => ({
        name: `own-${item.interface}`,
        network: { namespace: item.namespace, name: item.name },
        interface: item.interface ?? '',
      });
      const fresh = wants('a', { interface: 'fresh0' });
      const keep = named.map((item): DesiredElement => ({ ...fresh, ...record(item) }));
      const ownerships = [[], named.map(record), named.slice(0, 1).map(record)];
      for (const owned of ownerships) {
        for (const wanted of [[], [fresh], [...keep, fresh], keep]) {
          for (const repair of [false, true]) {
            for (const fail of [false, true]) writes += await run({ ...live, owned }, wanted, repair, fail);
          }
        }
      }
    }
  }
  return writes;
}

test('the controller does what the plan says, and nothing else', async () => {
  assert.ok((await check(readDynamicCases())) > 20);
});

const { path, skip } = recordings('dynamic-controller-cases.json');

test('no recorded state of a pod leads a plan astray', { skip }, async (context: TestContext) => {
  const cases = readDynamicCases(path).filter((one) => one.function === undefined);
  const writes = await check(cases);
  assert.ok(writes > 100);
  context.diagnostic(`${writes} writes in the states of ${cases.length} cases`);
});
