import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { serve } from '../../test/list-server.ts';
import type { Cluster, ExecResult, KubeObject } from '../kube/cluster.ts';
import { failureError } from '../kube/failures.ts';
import { objectKey } from '../vocabulary.ts';
import { readDomain, readDomains } from './domain.ts';
import type { LiveVm } from './model.ts';
import { observe } from './observe.ts';

interface Objects {
  readonly vm: KubeObject;
  readonly vmi: KubeObject;
  readonly pods: readonly KubeObject[];
}
const settled = JSON.parse(readFileSync(new URL('fixtures/settled-vms.json', import.meta.url), 'utf8')) as Readonly<
  Record<string, Objects>
>;

const xml = "<domain type='kvm'><name>flow-08_web01</name><devices/></domain>";
type Play = (argv: readonly string[]) => ExecResult | Error;

/** A cluster of which only exec matters here; exec itself is tested against sockets beside the transport. */
function execOnly(play: Play): { cluster: Cluster; commands: string[] } {
  const commands: string[] = [];
  const cluster: Pick<Cluster, 'exec'> = {
    async exec(target, argv) {
      commands.push(`${objectKey({ namespace: target.namespace, name: target.pod })} ${argv.join(' ')}`);
      const result = play(argv);
      if (result instanceof Error) throw result;
      return result;
    },
  };
  return { cluster: cluster as Cluster, commands };
}

async function liveVm(): Promise<LiveVm> {
  const [recorded] = Object.values(settled).filter(({ vm }) => vm.metadata.namespace === 'flow-08');
  assert.ok(recorded);
  const { vm: machine, vmi, pods } = recorded;
  const { cluster } = await serve({ virtualmachines: [machine], virtualmachineinstances: [vmi], pods });
  const target = { namespace: 'flow-08', name: 'web01' };
  const { vms } = await observe(cluster, { targets: [target] }, { domainXml: 'auto' });
  const vm = vms.get('flow-08/web01');
  assert.ok(vm);
  return vm;
}

const noConnection = {
  stdout: '',
  stderr: 'error: failed to connect to the hypervisor\nerror: no socket',
  exitCode: 1,
};

test('the domain is read in the launcher pod', async () => {
  const { cluster, commands } = execOnly(() => ({ stdout: xml, stderr: '', exitCode: 0 }));
  const reading = await readDomain(cluster, await liveVm());
  assert.equal(reading.kind === 'read' && reading.domain.name, 'flow-08_web01');
  assert.deepEqual(commands, ['flow-08/virt-launcher-web01-c66bm virsh dumpxml flow-08_web01']);
});

test('where virsh finds no libvirt by itself it is told the socket', async () => {
  const { cluster, commands } = execOnly((argv) =>
    argv.includes('-c') ? { stdout: xml, stderr: '', exitCode: 0 } : noConnection,
  );
  assert.equal((await readDomain(cluster, await liveVm())).kind, 'read');
  assert.match(commands[1] ?? '', /virsh -c qemu\+unix:\/\/\/session\?socket=\S+ dumpxml flow-08_web01$/);
});

const forbidden = failureError(
  { verb: 'create', resource: 'pods/exec', group: '', namespace: 'flow-08' },
  { status: 403, reason: 'Forbidden', message: 'pods "x" is forbidden: ' },
  'http://x',
);
const unread: readonly { name: string; play: Play; why: string; message: RegExp }[] = [
  { name: 'no right to exec', play: () => forbidden, why: 'forbidden', message: /no permission to create pods\/exec/ },
  {
    name: 'no libvirt at any socket',
    play: () => noConnection,
    why: 'failed',
    message: /virsh: error: failed to connect/,
  },
  {
    name: 'no such domain',
    play: () => ({ stdout: '', stderr: "error: failed to get domain 'x'\n\n", exitCode: 1 }),
    why: 'failed',
    message: /^virsh: error: failed to get domain 'x'$/,
  },
  { name: 'no XML', play: () => ({ stdout: 'nonsense', stderr: '', exitCode: 0 }), why: 'failed', message: /./ },
];
for (const { name, play, why, message } of unread) {
  test(`a domain that can't be read: ${name}`, async () => {
    const reading = await readDomain(execOnly(play).cluster, await liveVm());
    assert.ok(reading.kind === 'unread');
    assert.equal(reading.why, why);
    assert.match(reading.message ?? '', message);
  });
}

test('a VM that does not run has no domain, and nothing is run for it', async () => {
  const { vmi: _, ...stopped } = await liveVm();
  const { cluster, commands } = execOnly(() => noConnection);
  assert.deepEqual(await readDomain(cluster, stopped), { kind: 'unread', why: 'not-running' });
  assert.deepEqual(commands, []);
});

test('once exec is forbidden in a namespace it is not tried there again', async () => {
  const vm = await liveVm();
  const { cluster, commands } = execOnly(() => forbidden);
  const vms = ['a', 'b', 'c'].map((name) => ({ ...vm, name }));
  const readings = await readDomains(cluster, vms, { concurrency: 1 });
  assert.deepEqual(
    [...readings.values()].map((reading) => reading.kind === 'unread' && reading.why),
    Array(3).fill('forbidden'),
  );
  assert.equal(commands.length, 1);
});
