import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FetchPage, listAll } from './listing.ts';

/** Answers one page after the other; tells with what they were asked for. */
function pages(...answers: readonly object[]): {
  readonly fetchPage: FetchPage;
  readonly asked: { readonly limit: string | null; readonly accept: string | undefined }[];
} {
  const asked: { limit: string | null; accept: string | undefined }[] = [];
  const fetchPage: FetchPage = async (query, accept) => {
    asked.push({ limit: query.get('limit'), accept });
    return JSON.stringify(answers[asked.length - 1]);
  };
  return { fetchPage, asked };
}

test('rows: the cells of a table by the names of its columns, or whole objects where there is no table', async () => {
  const row = (name: string, node: string) => ({ cells: [name, node], object: { metadata: { name } } });
  const columnDefinitions = [{ name: 'Name' }, { name: 'Node' }];
  const { fetchPage, asked } = pages(
    { kind: 'Table', metadata: { continue: 'x' }, columnDefinitions, rows: [row('a', 'n1')] },
    { kind: 'Table', metadata: { continue: 'y' }, columnDefinitions: null, rows: [row('b', 'n2')] },
    { kind: 'PodList', metadata: {}, items: [{ metadata: { name: 'c' } }] },
  );
  const { items } = await listAll(
    fetchPage,
    JSON.parse,
    {},
    ({ metadata }, cell) => [metadata.name, cell?.('Node'), cell?.('None')],
    { rows: true },
  );
  assert.deepEqual(items, [
    ['a', 'n1', undefined],
    ['b', 'n2', undefined],
    ['c', undefined, undefined],
  ]);
  assert.equal(asked[0]?.accept, 'application/json;as=Table;g=meta.k8s.io;v=v1,application/json');
});

test('large objects come in smaller pages, small ones in larger', async () => {
  const page = (next: string, size: number) => ({
    metadata: { continue: next },
    items: Array.from({ length: 100 }, () => ({ metadata: { name: 'x'.repeat(size) } })),
  });
  const { fetchPage, asked } = pages(page('a', 25_000), page('b', 1_000_000), page('', 10));
  await listAll(fetchPage, JSON.parse, {}, () => undefined, {});
  assert.deepEqual(
    asked.map(({ limit }) => limit),
    ['250', '83', '50'],
  );
});
