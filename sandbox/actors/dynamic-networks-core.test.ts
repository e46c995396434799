import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NetworkSelectionElement } from '../../reconcile/systems/multus-networks.ts';
import type { NetworkStatus } from '../../reconcile/systems/multus-status.ts';
import { recordings } from '../../test/recordings.ts';
import { type DynamicCase, elementsOf, outcomeOf, readDynamicCases } from './dynamic-cases.ts';
import {
  addToStatus,
  type PodEvent,
  planAttachments,
  reconcileAttachments,
  removeFromStatus,
} from './dynamic-networks-core.ts';

/** Runs a case as the controller would, retries included, and says where it differs; empty where it agrees. */
async function differences(entry: DynamicCase): Promise<string[]> {
  const found: string[] = [];
  const check = (what: string, actual: unknown, expected: unknown): void => {
    try {
      assert.deepEqual(actual, expected);
    } catch {
      found.push(`${entry.id} ${what}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`);
    }
  };
  if (entry.function === 'add entry') {
    const added = { name: 'ns1/tenantnetwork', interface: 'newiface', mac: '02:03:04:05:06:07' };
    check('status', addToStatus(entry.statusBefore, added), entry.expectedStatusAfter);
    return found;
  }
  if (entry.function === 'remove entry') {
    const gone = entry.argument as readonly NetworkSelectionElement[];
    check('status', removeFromStatus(entry.statusBefore, gone), entry.expectedStatusAfter);
    return found;
  }
  if (entry.hostNetwork !== true) {
    const first = planAttachments(elementsOf(entry.networksAfter, entry.podNamespace ?? ''), entry.statusBefore);
    const identity = (element: NetworkSelectionElement): object => ({
      name: element.name,
      namespace: element.namespace,
      interface: element.interface ?? '',
    });
    check('adds', first.adds.map(identity), entry.expectedAdds);
    check('removes', first.removes.map(identity), entry.expectedRemoves);
  }
  const { events, status } = await outcomeOf(entry);
  if (entry.expectedEvents !== undefined) {
    check('events', events.slice(0, entry.expectedEvents.length), entry.expectedEvents);
  }
  if (entry.expectedStatusAfter !== undefined) {
    const plain = (list: readonly NetworkStatus[]): unknown[] =>
      list.map(({ name, interface: nic, default: isDefault }) => ({ name, interface: nic, default: isDefault }));
    check('status', plain(status), plain(entry.expectedStatusAfter));
  }
  return found;
}

test('the key cases of the dynamic-networks controller come out as recorded', async () => {
  for (const entry of readDynamicCases()) assert.deepEqual(await differences(entry), []);
});

const { path: collected, skip } = recordings('dynamic-controller-cases.json');
test('every collected case of the dynamic-networks controller agrees', { skip }, async () => {
  const cases = readDynamicCases(collected);
  const wrong = (await Promise.all(cases.map(differences))).filter((list) => list.length > 0);
  console.log(`dynamic-networks controller: ${cases.length - wrong.length} of ${cases.length} cases agree`);
  assert.deepEqual(wrong, []);
});

test('a failing add leaves its healthy predecessor in network-status though it was taken out again', async () => {
  const deleted: string[] = [];
  const events: PodEvent[] = [];
  const elements = [
    { name: 'good', namespace: 'ns', interface: 'net1' },
    { name: 'bad', namespace: 'ns', interface: 'net2' },
  ];
  const round = await reconcileAttachments(
    { namespace: 'ns', name: 'pod' },
    planAttachments(elements, []),
    [],
    {
      add(element) {
        if (element.name === 'bad') throw new Error('no');
        return [{ name: `ns/${element.name}`, interface: element.interface ?? '' }];
      },
      del(element) {
        deleted.push(element.interface ?? '');
      },
    },
    (event) => events.push(event),
    () => {},
  );
  assert.equal(round.failed, true);
  assert.deepEqual(round.status, [{ name: 'ns/good', interface: 'net1' }]);
  assert.deepEqual(deleted, ['net1', 'net2']);
  assert.deepEqual(planAttachments(elements, round.status).adds, [elements[1]]);
});

test('an event names addresses, MAC and CNI arguments where the element has any', async () => {
  const said = async (more: object): Promise<string | undefined> => {
    const events: PodEvent[] = [];
    await reconcileAttachments(
      { namespace: 'ns', name: 'pod' },
      planAttachments([{ name: 'net', namespace: 'ns', interface: 'net1', ...more }], []),
      [],
      { add: () => [{ name: 'ns/net', interface: 'net1' }], del: () => {} },
      (event) => events.push(event),
      () => {},
    );
    return events[0]?.message.replace('pod [ns/pod]: added interface net1 to network: net', '');
  };
  const mac = '02:00:00:00:00:01';
  assert.equal(await said({ ips: [] }), '');
  assert.equal(await said({ mac, ips: ['10.0.0.1/24'] }), `(ips: [10.0.0.1/24], mac: ${mac}, cni-args: <nil>)`);
  assert.equal(await said({ 'cni-args': { foo: 'bar' } }), '(ips: [], mac: , cni-args: &map[foo:bar])');
  const odd = { list: [1, 1.5, true, null], big: 1000000, deep: { b: -2.5e-7, a: '' } };
  assert.equal(
    await said({ 'cni-args': odd }),
    '(ips: [], mac: , cni-args: &map[big:1e+06 deep:map[a: b:-2.5e-07] list:[1 1.5 true <nil>]])',
  );
});

test('another NAD on the same interface ends with no interface, though network-status shows one', async () => {
  const nic = { namespace: 'ns', interface: 'net1' };
  const { events, status, present } = await outcomeOf({
    id: 'swap',
    podNamespace: 'ns',
    networksBefore: [{ name: 'first', ...nic }],
    networksAfter: [{ name: 'second', ...nic }],
    statusBefore: [{ name: 'ns/first', interface: 'net1' }],
  });
  assert.deepEqual(
    events.map(({ reason }) => reason),
    ['FailedAddingInterface', 'RemovedInterface', 'AddedInterface', 'RemovedInterface'],
  );
  assert.deepEqual(
    status.map(({ name }) => name),
    ['ns/second'],
  );
  assert.deepEqual([...present], []);
});
