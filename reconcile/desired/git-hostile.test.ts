/** A git host that sends what git itself would never make. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { faultsOf, vmYaml } from '../../test/desired-state.ts';
import { gitObject, gitPack } from '../../test/git-packs.ts';
import { type LoadOptions, loadDesired } from './load.ts';

const kinds = { commit: 1, tree: 2, blob: 3 } as const;

interface GitObject {
  readonly kind: keyof typeof kinds;
  readonly content: Buffer;
  readonly oid: string;
}

function object(kind: GitObject['kind'], text: string | Buffer): GitObject {
  const content = Buffer.from(text);
  const oid = createHash('sha1').update(`${kind} ${content.length}\0`).update(content).digest('hex');
  return { kind, content, oid };
}

function tree(...entries: readonly (readonly [mode: string, name: string, of: string])[]): GitObject {
  return object(
    'tree',
    Buffer.concat(
      entries.map(([mode, name, of]) => Buffer.concat([Buffer.from(`${mode} ${name}\0`), Buffer.from(of, 'hex')])),
    ),
  );
}

function commit(root: GitObject): GitObject {
  return object('commit', `tree ${root.oid}\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx\n`);
}

function packet(content: Buffer | string): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([Buffer.from((bytes.length + 4).toString(16).padStart(4, '0')), bytes]);
}

const flush = Buffer.from('0000');

/** Serves one commit with whatever pack; returns the URL. */
async function host(t: TestContext, head: string, pack: Buffer): Promise<string> {
  const server = createServer((request, response) => {
    request.resume();
    if (request.method === 'GET') {
      const able = 'symref=HEAD:refs/heads/main side-band-64k shallow ofs-delta agent=x';
      const refs = [packet('# service=git-upload-pack\n'), flush, packet(`${head} HEAD\0${able}\n`)];
      response.setHeader('content-type', 'application/x-git-upload-pack-advertisement');
      response.end(Buffer.concat([...refs, packet(`${head} refs/heads/main\n`), flush]));
      return;
    }
    const parts: Buffer[] = [packet(`shallow ${head}`), flush, packet('NAK\n')];
    for (let at = 0; at < pack.length; at += 60_000) {
      parts.push(packet(Buffer.concat([Buffer.from([1]), pack.subarray(at, at + 60_000)])));
    }
    response.setHeader('content-type', 'application/x-git-upload-pack-result');
    response.end(Buffer.concat([...parts, flush]));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/x.git`;
}

function packed(objects: readonly GitObject[]): Buffer {
  return gitPack(...objects.map(({ kind, content }) => gitObject(kinds[kind], content)));
}

/** The code of the refusal of a tree, or what was read. */
async function outcome(
  t: TestContext,
  root: GitObject,
  others: readonly GitObject[],
  more: { readonly path?: string; readonly options?: LoadOptions } = {},
): Promise<string> {
  const head = commit(root);
  const url = await host(t, head.oid, packed([head, root, ...others]));
  return await resultOf(url, more);
}

async function resultOf(
  url: string,
  { path = '', options = {} }: Parameters<typeof outcome>[3] & object = {},
): Promise<string> {
  const loading = loadDesired({ kind: 'git', url, path, timeoutMs: 20_000 }, options);
  const state = await loading.catch(() => undefined);
  if (state !== undefined) return state.targets.map(({ target }) => target.name).join();
  return (await faultsOf(loading)).map(({ code }) => code).join();
}

const good = object('blob', vmYaml('good'));
const evil = object('blob', vmYaml('evil'));

test('what a host makes by hand is read, where it is right', async (t) => {
  assert.equal(await outcome(t, tree(['100644', 'a.yaml', good.oid]), [good]), 'good');
});

test('names of a tree that are no names, or mean another thing elsewhere, are refused or left out', async (t) => {
  const below = tree(['100644', 'a.yaml', evil.oid]);
  const refused: readonly (readonly [mode: string, name: string])[] = [
    ['40000', '..'],
    ['40000', '.'],
    ['40000', '.git'],
    ['40000', '.GIT'],
    ['40000', 'a/b'],
    ['40000', 'a\\b'],
    ['40000', 'a\nb'],
    ['40000', ''],
    ['100644', '../a.yaml'],
    ['100644', 'a\\..\\b.yaml'],
    ['100644', 'a\u001b[31m.yaml'],
    ['100644', 'a\r.yaml'],
    ['100644', 'GOOD.yaml'],
    ['100644', 'good.yaml'],
    ['120000', 'link.yaml'],
    ['160000', 'module'],
  ];
  const left = new Set(['.GIT']);
  for (const [mode, name] of refused) {
    const of = mode === '40000' ? below : evil;
    const root = tree([mode, name, of.oid], ['100644', 'good.yaml', good.oid]);
    const result = await outcome(t, root, [below, good, evil]);
    const expected = left.has(name)
      ? /^(good|source\/unsafe-path)$/
      : /^(source\/(unsafe-path|submodule)|git\/protocol)$/;
    assert.match(result, expected, JSON.stringify([mode, name]));
  }
});

test('a name of any length is a name, and is told shortened or whole', async (t) => {
  const long = `${'x'.repeat(100_000)}.yaml`;
  assert.equal(await outcome(t, tree(['100644', long, good.oid]), [good]), 'good');
});

test('a link is not followed, in the tree or out of it, by name or by path', async (t) => {
  for (const to of ['a.yaml', '../../etc/passwd', '/etc/passwd', '/proc/self/environ']) {
    const link = object('blob', to);
    const root = tree(['100644', 'a.yaml', good.oid], ['120000', 'b.yaml', link.oid], ['120000', 'c', link.oid]);
    assert.equal(await outcome(t, root, [good, link]), 'source/unsafe-path', to);
    assert.equal(await outcome(t, root, [good, link], { path: 'c' }), 'source/unsafe-path', to);
  }
});

test('ten thousand levels, or entries beyond the limit, end with a word', async (t) => {
  let inner = tree(['100644', 'a.yaml', good.oid]);
  const all = [good];
  for (let level = 0; level < 10_000; level += 1) {
    all.push(inner);
    inner = tree(['40000', 'd', inner.oid]);
  }
  assert.equal(await outcome(t, inner, all), 'source/too-large');
  const many = Array.from({ length: 5000 }, (_, index) => ['100644', `f${index}.txt`, good.oid] as const);
  assert.equal(
    await outcome(t, tree(...many), [good], { options: { limits: { maxEntries: 4000 } } }),
    'source/too-large',
  );
});

test('a tree of trees that are one and the same is read within the limits', async (t) => {
  // Ten entries on each of ten levels: a few hundred bytes that stand for ten thousand million files.
  let inner = tree(['100644', 'a.yaml', good.oid]);
  const all = [good];
  for (let level = 0; level < 10; level += 1) {
    all.push(inner);
    const { oid } = inner;
    inner = tree(...Array.from({ length: 10 }, (_, index) => ['40000', `d${index}`, oid] as const));
  }
  assert.equal(await outcome(t, inner, all, { options: { limits: { maxEntries: 5000 } } }), 'source/too-large');
});

test('an object that is not what its id says, or is of another type, is refused', async (t) => {
  const head = commit(tree(['100644', 'a.yaml', good.oid]));
  const asTree = commit(good);
  const root = tree(['40000', 'a.yaml', good.oid]);
  assert.equal(await outcome(t, root, [good]), 'git/protocol');
  assert.equal(await resultOf(await host(t, asTree.oid, packed([asTree, good]))), 'git/protocol');
  assert.match(await resultOf(await host(t, good.oid, packed([good]))), /^git\//);
  assert.match(await resultOf(await host(t, head.oid, packed([head]))), /^git\//, 'the tree is missing');
  assert.match(await resultOf(await host(t, 'f'.repeat(40), packed([head]))), /^git\//, 'the commit is missing');
  const junk = object('tree', Buffer.from('100644 no-end'));
  assert.match(await outcome(t, junk, []), /^(git\/protocol|source\/empty)$/);
});

test('deltas against themselves, against nothing, and in long chains', async (t) => {
  const head = commit(tree(['100644', 'a.yaml', good.oid]));
  const plain = gitObject(kinds.commit, head.content);
  // A copy of the whole base, whose size is one byte.
  const delta = Buffer.from([1, 1, 1, 65]);
  const packs: Readonly<Record<string, Buffer>> = {
    itself: gitPack(plain, gitObject(6, delta, { base: Buffer.from([0]) })),
    'before the start': gitPack(plain, gitObject(6, delta, { base: Buffer.from([0xff, 0xff, 0x7f]) })),
    'an id that is not there': gitPack(plain, gitObject(7, delta, { base: Buffer.alloc(20, 9) })),
    'a result that is longer than it says': gitPack(
      plain,
      gitObject(6, Buffer.from([1, 1, 3, 65, 66, 67]), { base: Buffer.from([plain.length]) }),
    ),
  };
  for (const [what, pack] of Object.entries(packs)) {
    assert.match(await resultOf(await host(t, head.oid, pack)), /^git\//, what);
  }
  const base = gitObject(kinds.blob, Buffer.from('A'));
  const step = gitObject(6, delta, { base: Buffer.from([base.length]) });
  const next = gitObject(6, delta, { base: Buffer.from([step.length]) });
  const chain = gitPack(base, step, ...Array.from({ length: 5000 }, () => next));
  assert.equal(await resultOf(await host(t, head.oid, chain)), 'git/protocol');
});
