import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { configMaps } from './builtin-resources.ts';
import { MemoryStore } from './store.ts';
import { serveWatch } from './watching.ts';

test('a watch that ends tells nothing of what happens between its end and its close', async () => {
  const store = new MemoryStore([configMaps]);
  const collection = store.collection('', 'configmaps');
  const put = (name: string) => store.seed('', 'configmaps', { metadata: { name, namespace: 'n' } });
  put('a');
  const query = { resourceVersion: '', bookmarks: true, sendInitialEvents: false, timeoutSeconds: 0 };
  const server = createServer((_request, response) => {
    // Emitted by end(), before the response is closed: as when a bookmark is due in the turn in which the watch ends.
    response.once('prefinish', () => put('b'));
    const served = { resource: configMaps, version: 'v1', apiVersion: 'v1', collection };
    serveWatch(
      store,
      served,
      { ...query, include: 'None' },
      { format: 'json', metaVersion: 'v1' },
      response,
      undefined,
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const [answer] = (await once(get({ port: (server.address() as AddressInfo).port }), 'response')) as [
      IncomingMessage,
    ];
    const told = (await text(answer)).trim().split('\n');
    assert.deepEqual(
      told.map((line) => JSON.parse(line).object.metadata.name),
      ['a'],
    );
    assert.equal(collection.listeners.size, 0);
  } finally {
    server.close();
  }
});
