import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { configMaps } from './builtin-resources.ts';
import { listPage } from './listing.ts';
import { MemoryStore } from './store.ts';

function put(store: MemoryStore, name: string, namespace = 'n'): void {
  store.seed('', 'configmaps', { metadata: { name, namespace } });
}

function remove(store: MemoryStore, name: string): void {
  const collection = store.collection('', 'configmaps');
  const entry = collection.entries.get(`n/${name}`);
  if (entry !== undefined) store.remove(collection, entry.key, { ...entry.object });
}

const all = { continue: '', resourceVersion: '', match: '', limit: 0 };

test('pages show the collection as it was at the first, whatever is written meanwhile', () => {
  const names = fc.constantFrom(...Array.from('abcdefghij'));
  const writes = fc.array(fc.record({ name: names, remove: fc.boolean() }), { maxLength: 6 });
  fc.assert(
    fc.property(fc.uniqueArray(names), writes, fc.integer({ min: 1, max: 4 }), (before, between, limit) => {
      const store = new MemoryStore([configMaps]);
      const collection = store.collection('', 'configmaps');
      for (const name of before) put(store, name);
      const seen: string[] = [];
      let token = '';
      do {
        const page = listPage(store, collection, { ...all, namespace: 'n', limit, continue: token });
        seen.push(...page.entries.map(({ name }) => name));
        token = page.continue ?? '';
        for (const write of between) {
          if (write.remove) remove(store, write.name);
          else put(store, write.name);
        }
      } while (token !== '');
      assert.deepEqual(seen, [...before].sort());
    }),
  );
});

test('a namespace is told from one whose name it begins', () => {
  const store = new MemoryStore([configMaps]);
  for (const namespace of ['n', 'n-1', 'n0', 'm']) put(store, 'a', namespace);
  const page = listPage(store, store.collection('', 'configmaps'), { ...all, namespace: 'n' });
  assert.deepEqual(
    page.entries.map(({ namespace }) => namespace),
    ['n'],
  );
});

test('what was forgotten can no longer be listed', () => {
  const store = new MemoryStore([configMaps]);
  const collection = store.collection('', 'configmaps');
  put(store, 'a');
  put(store, 'b');
  const token = listPage(store, collection, { ...all, namespace: 'n', limit: 1 }).continue ?? '';
  for (let turn = 0; turn < 20_000; turn++) put(store, 'a');
  const next = { ...all, namespace: 'n', limit: 1, continue: token };
  assert.throws(() => listPage(store, collection, next), /continue parameter is too old/);
  const { resourceVersion } = store.get('', 'configmaps', 'n', 'a')?.metadata ?? {};
  assert.equal(resourceVersion, String(store.revision));
});
