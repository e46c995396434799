/** The agent path by the command line: what is declared is looked at, planned and plugged through the real tools of a pod. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { CliRun } from '../cli-process.ts';
import { type AgentStage, agentTest, prompt } from './agent-stage.ts';
import { namespace } from './stage.ts';

/** Runs the command line over a pod `vm` that is declared so; fails unless it ends with this code. */
async function run(
  { kubeconfig, domain }: AgentStage,
  code: number,
  verb: 'plan' | 'apply',
  nics: readonly object[],
  uri = domain.uri,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'patchpanel-agent-'));
  await writeFile(
    join(folder, 'vm.yaml'),
    stringify({
      apiVersion: 'patchpanel.dev/v1alpha1',
      kind: 'NetworkAttachments',
      metadata: { name: 'vm', namespace },
      spec: { target: { kind: 'Pod', domain: { ...domain, uri } }, attachments: nics },
    }),
  );
  const result = await new CliRun([verb, folder], { env: { KUBECONFIG: kubeconfig } }).result;
  await rm(folder, { recursive: true });
  assert.equal(result.code, code, `${verb}\n${result.stdout}\n${result.stderr}`);
  return result.stdout;
}

const nics = [
  { name: 'red', network: 'lan' },
  { name: 'blue', network: 'lan', mac: '02:00:00:00:0d:02' },
];

agentTest(
  'declared: planned with its ports, plugged, nothing left to do, changed, and taken out again',
  { ports: 2, ...prompt },
  async (stage) => {
    const before = await stage.traces();
    const planned = await run(stage, 2, 'plan', nics);
    assert.match(planned, /\+ plug red into lan as pod\w+[\s\S]*\+ attach red to the domain/);
    assert.deepEqual(await stage.traces(), before, 'a plan leaves nothing');
    await run(stage, 0, 'apply', nics);
    const { nics: found } = await stage.live();
    assert.deepEqual(
      found.map(({ alias }) => alias),
      ['ua-red', 'ua-blue'],
    );
    await run(stage, 0, 'plan', nics);
    const third = { name: 'green', network: 'lan' };
    assert.match(await run(stage, 4, 'plan', [...nics, third]), /port/);

    const linkDown = nics.map((nic) => (nic.name === 'red' ? { ...nic, state: 'down' } : nic));
    await run(stage, 0, 'apply', linkDown);
    assert.equal((await stage.live()).nics[0]?.linkState, 'down');
    await run(stage, 0, 'apply', []);
    assert.deepEqual(await stage.traces(), before);
    await run(stage, 0, 'plan', []);
  },
);

agentTest('a domain that can not be seen is blocked, in the words of virsh', { ports: 1, ...prompt }, async (stage) => {
  const before = await stage.traces();
  const elsewhere = await run(stage, 4, 'plan', nics, 'qemu+unix:///system?socket=/nonexistent');
  assert.match(elsewhere, /can not be seen: virsh: /);
  await run(stage, 4, 'apply', nics, 'qemu+unix:///system?socket=/nonexistent');
  assert.deepEqual(await stage.traces(), before);
});
