/**
 * What tired engineers push: each mistake in a repository of its own, met by the command that the Job runs. Either it is
 * mended, or it is refused with words that tell the way out.
 */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { networkAttachmentDefinitions, virtualMachines } from '../reconcile/kube/resources.ts';
import { specNics } from '../reconcile/live/nics.ts';
import { fields } from '../reconcile/systems/json-shape.ts';
import { type GitServer, startGitServer } from '../sandbox/git-server.ts';
import type { CliResult } from './cli-process.ts';
import { CliStage, desiredFiles } from './cli-stage.ts';
import { writeFiles } from './desired-state.ts';
import { commitAll, newRepository } from './git-repositories.ts';

let stage: CliStage;
let git: GitServer;
before(async () => {
  stage = await CliStage.start();
  git = await startGitServer({ root: stage.folder });
});
after(async () => {
  await stage.stop();
  await git.close();
});
afterEach(async () => {
  await stage.cluster.misbehave();
  await stage.handOver('db-0', 'web-0', 'web-1');
});

/** A repository on the git host, and the Job that applies it. */
class Repository {
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  static async of(
    name: string,
    vms: Parameters<typeof desiredFiles>[0],
    files: Readonly<Record<string, string>> = {},
  ): Promise<Repository> {
    await newRepository(stage.folder, name);
    const made = new Repository(name);
    await writeFiles(made.folder, files);
    await made.push(vms);
    return made;
  }

  get folder(): string {
    return join(stage.folder, this.#name);
  }

  /** Files of VMs as they are to be from now on; null deletes one. */
  async push(vms: Readonly<Record<string, Parameters<typeof desiredFiles>[0][string] | null>>): Promise<void> {
    for (const [name, nics] of Object.entries(vms)) {
      if (nics === null) await rm(join(this.folder, `${name}.yaml`));
      else await writeFiles(this.folder, desiredFiles({ [name]: nics }));
    }
    await commitAll(this.folder, 'NICs');
  }

  async job(code: number): Promise<CliResult> {
    const args = ['apply', `${git.url}/${this.#name}`, '--record', `demo/${this.#name}`];
    return await stage.expect(code, args);
  }
}

const mac = '02:70:70:00:0e:01';

test('a MAC moves between VMs: it leaves the one before the other gets it', async () => {
  const moved = { name: 'moved', network: 'backup-net', mac };
  const repository = await Repository.of('mac-moves', { 'web-0': [moved], 'web-1': [] });
  await repository.job(0);
  await repository.push({ 'web-0': [], 'web-1': [{ ...moved }] });
  const { stdout } = await repository.job(0);
  assert.match(stdout, /moved/);
  assert.deepEqual(
    [await stage.guestNics('web-0'), await stage.guestNics('web-1')],
    [['default'], ['default', 'moved', 'storage']],
  );
});

test('the MAC is copied, and not moved: nothing is applied, and both places are named', async () => {
  const twice = { name: 'storage', network: 'storage-net', mac: '02:70:70:00:0e:02' };
  const repository = await Repository.of('mac-copied', { 'web-0': [twice], 'web-1': [twice] });
  stage.requests();
  const { stderr } = await repository.job(3);
  assert.match(stderr, /web-1\.yaml:\d+/);
  assert.match(stderr, /already that of "storage" of demo\/web-0, at web-0\.yaml:\d+/);
  assert.deepEqual(
    stage.writes().filter((write) => write.includes('virtualmachines')),
    [],
  );
});

test('a network is deleted along with its last user: the NIC is held until the network is back', async () => {
  const { admin } = stage.cluster;
  const network = await stage.network(
    'leaving',
    '{"cniVersion":"0.3.1","name":"leaving","type":"bridge","bridge":"br9"}',
  );
  const repository = await Repository.of('network-deleted', { 'db-0': [{ name: 'leaving', network: 'leaving' }] });
  await repository.job(0);
  await admin.delete(networkAttachmentDefinitions, 'demo', 'leaving');
  await repository.push({ 'db-0': [] });
  const { stdout } = await repository.job(4);
  assert.match(stdout, /network-missing/);
  assert.match(stdout, /Create the NetworkAttachmentDefinition leaving in namespace demo again/);
  assert.deepEqual(await stage.guestNics('db-0'), ['default', 'leaving']);
  await stage.network('leaving', String(fields(network.spec).config));
  await repository.job(0);
  assert.deepEqual(await stage.guestNics('db-0'), ['default']);
});

test('the wrong namespace: the VM is not found there, and is named where it is', async () => {
  const repository = await Repository.of('wrong-namespace', {}, desiredFiles({ 'db-0': ['storage'] }, 'prod'));
  const { stdout } = await repository.job(4);
  assert.match(stdout, /no VirtualMachine prod\/db-0; there is demo\/db-0/);
});

test('someone unplugs by hand: it is plugged again', async () => {
  const repository = await Repository.of('by-hand', { 'web-0': ['backup'] });
  await repository.job(0);
  const { admin } = stage.cluster;
  const vm = await admin.get(virtualMachines, 'demo', 'web-0');
  const nics = specNics(fields(fields(vm?.spec).template).spec, 'demo');
  const index = nics.findIndex(({ name }) => name === 'backup');
  await admin.jsonPatch(virtualMachines, 'demo', 'web-0', [
    { op: 'add', path: `/spec/template/spec/domain/devices/interfaces/${index}/state`, value: 'absent' },
  ]);
  const { stdout } = await repository.job(0);
  assert.match(stdout, /plug backup into backup-net/);
  assert.deepEqual(await stage.guestNics('web-0'), ['backup', 'default']);
});
