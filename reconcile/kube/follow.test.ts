import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PatchpanelError } from '../errors.ts';
import type { Cluster, KubeObject, WatchEvent } from './cluster.ts';
import { failureError } from './failures.ts';
import { type FollowEvent, follow } from './follow.ts';
import { pods } from './resources.ts';

/** One step of a scripted server: a list answer, or a watch that yields events and then ends or fails. */
type Step =
  | { readonly list: readonly KubeObject[]; readonly version: string }
  | { readonly from: string; readonly events?: readonly WatchEvent[]; readonly fails?: unknown; readonly hangs?: true };

const intent = { verb: 'watch', resource: 'pods', group: '' };
const expired = failureError(intent, { status: 410, reason: 'Expired', message: 'too old' }, 'http://x');
const broken = new PatchpanelError('cluster/unreachable', 'reset');

function pod(name: string, resourceVersion: string): KubeObject {
  return { metadata: { name, namespace: 'prod', resourceVersion } };
}

/**
 * Plays the steps in order and aborts after the last. A script in place of a server, because what matters here is the
 * exact sequence of calls; the transport is tested against real servers beside it.
 */
async function play(steps: readonly Step[], silenceMs?: number) {
  const controller = new AbortController();
  const left = [...steps];
  const mistakes: string[] = [];
  function next(): Step | undefined {
    const step = left.shift();
    if (step === undefined) controller.abort();
    return step;
  }
  const cluster: Pick<Cluster, 'list' | 'watch'> = {
    async list(_resource, _selection, project) {
      const step = next();
      if (step === undefined || !('list' in step)) {
        mistakes.push('an unexpected list');
        controller.abort();
        throw broken;
      }
      return {
        items: step.list.map((object) => project(object, undefined)).filter((item) => item !== undefined),
        resourceVersion: step.version,
      };
    },
    async *watch(_resource, selection, signal) {
      const step = next();
      if (step === undefined) return;
      if ('list' in step) {
        mistakes.push('an unexpected watch');
        controller.abort();
        return;
      }
      if (step.from !== selection.resourceVersion) mistakes.push(`from ${selection.resourceVersion}, not ${step.from}`);
      yield* step.events ?? [];
      if (step.fails !== undefined) throw step.fails;
      if (step.hangs) await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    },
  };
  const log: string[] = [];
  const follower = follow(
    cluster as Cluster,
    pods,
    { namespace: 'prod' },
    (object) => (object.metadata.name.startsWith('ignored') ? undefined : object.metadata.resourceVersion),
    {
      onSync: (items) => log.push(`sync ${[...items.keys()].join(' ')}`),
      onEvent: (event: FollowEvent<string>) => log.push(`${event.type} ${event.key}`),
      onError: () => log.push('error'),
    },
    controller.signal,
    { maxBackoffMs: 1, ...(silenceMs === undefined ? {} : { silenceMs }) },
  );
  await follower.finished;
  assert.deepEqual(mistakes, []);
  return { log, items: Object.fromEntries(follower.items) };
}

test('a list, then events; the store follows', async () => {
  const { log, items } = await play([
    { list: [pod('a', '1'), pod('b', '2'), pod('ignored', '3')], version: '5' },
    {
      from: '5',
      events: [
        { type: 'MODIFIED', object: pod('a', '6') },
        { type: 'ADDED', object: pod('c', '7') },
        { type: 'MODIFIED', object: pod('ignored', '8') },
        { type: 'DELETED', object: pod('b', '9') },
      ],
    },
  ]);
  assert.deepEqual(log, ['sync prod/a prod/b', 'modified prod/a', 'added prod/c', 'deleted prod/b']);
  assert.deepEqual(items, { 'prod/a': '6', 'prod/c': '7' });
});

test('a watch that ends or breaks resumes at the last version seen, bookmarks included', async () => {
  const { log } = await play([
    { list: [], version: '5' },
    { from: '5', events: [{ type: 'ADDED', object: pod('a', '6') }] },
    { from: '6', events: [{ type: 'BOOKMARK', object: pod('', '9') }], fails: broken },
    { from: '9', fails: broken },
    { from: '9' },
  ]);
  assert.deepEqual(log, ['sync ', 'added prod/a', 'error', 'error']);
});

test('410 lists again and tells what changed meanwhile', async () => {
  const { log, items } = await play([
    { list: [pod('a', '1'), pod('b', '2'), pod('c', '3')], version: '5' },
    { from: '5', fails: expired },
    { list: [pod('a', '1'), pod('b', '8'), pod('d', '9')], version: '10' },
    { from: '10' },
  ]);
  assert.deepEqual(log, [
    'sync prod/a prod/b prod/c',
    'deleted prod/c',
    'modified prod/b',
    'added prod/d',
    'sync prod/a prod/b prod/d',
  ]);
  assert.deepEqual(items, { 'prod/a': '1', 'prod/b': '8', 'prod/d': '9' });
});

test('a silent watch is given up, and the list read anew', async () => {
  const { log } = await play(
    [{ list: [pod('a', '1')], version: '5' }, { from: '5', hangs: true }, { list: [], version: '6' }, { from: '6' }],
    20,
  );
  assert.deepEqual(log, ['sync prod/a', 'deleted prod/a', 'sync ']);
});

test('a first list that fails ends it', async () => {
  const cluster: Pick<Cluster, 'list'> = {
    async list() {
      throw broken;
    },
  };
  const signal = new AbortController().signal;
  const follower = follow(cluster as Cluster, pods, {}, (object) => object, {}, signal);
  await assert.rejects(follower.synced, broken);
  await assert.rejects(follower.finished, broken);
});
